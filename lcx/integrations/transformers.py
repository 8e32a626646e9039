"""Hugging Face transformers: a callback of the Trainer that stops a hopeless run."""

import json
from typing import Any

try:
    from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]
    from transformers.trainer_callback import ExportableState  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as error:
    if error.name != "transformers":
        raise
    raise ImportError("expected the package transformers, got none; pip install 'lcx[transformers]'") from error

from lcx.integrations.one_run import OneRun
from lcx.stopping.rules import Verdict


class LCXCallback(TrainerCallback, ExportableState):  # pyright: ignore
    """Stops the training if it is unlikely to beat the value to beat.

    It decides after each evaluation, whatever save_steps and load_best_model_at_end are. Steps are optimizer steps, and the horizon is the
    last step of the training. If a training is resumed from a checkpoint, its curve comes from the log history there, with or without
    ``restore_callback_states_from_checkpoint``. With several ranks, rank 0 decides for all.

        Trainer(..., callbacks=[LCXCallback("accuracy", "max", best=0.91, bounds=(0, 1))])

    Args:
        metric: name of a metric of the evaluation, with or without "eval_"; default: ``args.metric_for_best_model``.
        mode: "max" if larger is better, "min" if smaller is. Default, if the metric is that of args: ``args.greater_is_better``, which
            transformers guesses if you leave it out.
        options: see :class:`lcx.integrations.one_run.OneRun`. Predictions of ``log_forecast`` are also added to the log history.

    Attributes:
        verdict: the last verdict, with its reason; None before the first.
        stopped_step: step at which the training was stopped; 0 if it was not.
        stopping_reason_message: the reason; None if it was not.

    Raises:
        ValueError: the rule comes from a checkpoint, which cannot hold one.
    """

    def __init__(self, metric: str | None = None, mode: str | None = None, **options: Any) -> None:
        if isinstance(options.get("rule"), str):
            raise ValueError(
                f"expected a rule, got the text {options['rule']!r} from a checkpoint; leave restore_callback_states_from_checkpoint "
                "out, the curve is kept without it"
            )
        OneRun(metric or "metric", mode or "max", **options)  # refuses a wrong argument now rather than when the training starts
        self.metric, self.mode, self.options = metric, mode, options
        self.verdict: Verdict | None = None
        self.stopped_step, self.stopping_reason_message = 0, None
        self._run: OneRun | None = None  # while training
        self.kept: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the arguments, and of the run what is not in the log history."""
        run = None if self._run is None else self._run.kept()
        args = {"metric": self.metric, "mode": self.mode} | self.options
        if callable(args.get("run")):
            args["run"] = None if run is None else run["run"]
        return {"args": json.loads(json.dumps(args, default=_plain)), "attributes": {"kept": run}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the run, or resumes it."""
        name, mode = self.metric or args.metric_for_best_model, self.mode
        if name is None:
            raise ValueError("expected a metric, got none; give metric=, or metric_for_best_model in TrainingArguments")
        if mode is None and args.greater_is_better is not None and _full(name) == _full(args.metric_for_best_model or ""):
            mode = "max" if args.greater_is_better else "min"
        if mode is None:
            raise ValueError(f"expected mode 'max' or 'min' for {name!r}, got none; give mode=, or greater_is_better in TrainingArguments")
        self.verdict, self.stopped_step, self.stopping_reason_message = None, 0, None
        self._run = OneRun(_full(name), mode, **self.options)
        if state.global_step == 0:
            return self._run.begin(state.max_steps, done=0)
        kept = _of(state.stateful_callbacks, self.metric, self.mode)
        times = {step: at for (step, _), at in zip(kept.get("points", []), kept.get("times", []), strict=True)}
        logged = {row["step"]: row[_full(name)] for row in state.log_history if row["step"] > 0 and _full(name) in row}
        self._run.begin(
            state.max_steps,
            done=state.global_step,
            kept=kept | {"points": list(logged.items()), "times": [times.get(step) for step in logged]},
        )

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Decides after an evaluation within the training."""
        if self._run is None or state.global_step == 0:  # evaluated by hand, or before the first step (eval_on_start)
            return
        if self._run.metric not in (metrics or {}):  # of several evaluation sets, each comes by itself
            return self._run.missing(state.global_step, metrics or {})
        self.verdict = self._run.report(state.global_step, (metrics or {})[self._run.metric])
        if self._run.log_forecast:
            state.log_history.append(self._run.forecast() | {"step": state.global_step, "epoch": state.epoch})
        if self.verdict.stop:
            control.should_training_stop = True
            self.stopped_step, self.stopping_reason_message = state.global_step, self.verdict.reason

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the run: later evaluations do not belong to it."""
        self._run = None


def _full(metric: str) -> str:
    return metric if metric.startswith("eval_") else f"eval_{metric}"


def _of(callbacks: dict[str, Any], metric: str | None, mode: str | None) -> dict[str, Any]:
    """What a checkpoint keeps of the run of the callback with these arguments; of several, the last."""
    kept: dict[str, Any] = {}
    found = callbacks.get("LCXCallback", [])
    for state in found if isinstance(found, list) else [found]:
        if (state["args"].get("metric"), state["args"].get("mode")) == (metric, mode):
            kept = state["attributes"].get("kept") or {}
    return kept


def _plain(option: Any) -> Any:
    """A number of another library as a float; an array or a set as a list; a path or a rule as text."""
    if hasattr(option, "tolist"):
        return option.tolist()
    if isinstance(option, (set, frozenset)):
        return sorted(option)
    try:
        return float(option)
    except (TypeError, ValueError):
        return str(option)
