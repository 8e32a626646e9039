"""What people would use instead, run from its own packages on the same runs in the same orders; and ifBO's acquisition on our forecasts.

Optuna's pruners, Ray Tune's ASHA and median rule, Syne Tune's ASHA and median rule. Of what is not installed
(``pip install optuna "ray[tune]" syne-tune``) the rows are left out, and it is said. WilcoxonPruner is left out: it compares trials
instance by instance, and a learning curve has no instances. So is MOBSTER, whose searcher Syne Tune has given up: it needs hyperparameters.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lcx.extrapolator import load
from lcx.replay.methods import Leg, Method, Order
from lcx.replay.task import Task


@dataclass(frozen=True)
class optuna_pruner:
    """A method that trains runs as trials of a study and stops one when the pruner says so.

    Attributes:
        make: makes the pruner for runs of so many steps.
    """

    make: Callable[[int], Any]

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        import optuna
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = self.make(int(np.median(task.horizon)))
            study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
        for run in order:
            trial = study.ask()

            def stops(step: int, value: float, trial: Any = trial) -> bool:
                trial.report(value, step)
                return trial.should_prune()

            points = _trained(task, run, stops)
            best = float(task.peaks[run, points - 1])
            whole = points == task.counts[run] and math.isfinite(best)
            study.tell(trial, best if whole else None, state=TrialState.COMPLETE if whole else TrialState.PRUNED)
            yield Leg(run, points)


@dataclass(frozen=True)
class scheduler:
    """A method that reports runs one after the other to a scheduler of Ray Tune or Syne Tune and stops one when it says so.

    Attributes:
        make: makes, for runs of so many steps, a function (name of a run) -> (step, value) -> whether to stop, which keeps its state.
    """

    make: Callable[[int], Callable[[str], Callable[[int, float], bool]]]

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        begin = self.make(int(np.median(task.horizon)))
        for run in order:
            yield Leg(run, _trained(task, run, begin(str(run))))


def _trained(task: Task, run: int, stops: Callable[[int, float], bool]) -> int:
    """Up to which of its points a run is trained, if ``stops`` hears each of its values but the last, larger being better."""
    count = int(task.counts[run])
    for k in range(count - 1):
        if math.isfinite(value := float(task.gains[run, k])) and stops(int(task.steps[run, k]), value):
            return k + 1
    return count


@dataclass(frozen=True)
class _Trial:
    """What Ray's schedulers ask of a trial."""

    trial_id: str
    status: str = "RUNNING"


@dataclass(frozen=True)
class random_target:
    """ifBO's acquisition on the forecasts of lcx: the run goes on whose chance to exceed a random target within a random number of steps is
    highest; a new run stands for all that have not begun, with the share of the runs that did so. Runs are paused and resumed at no cost.

    The target is the best value plus a share of what the best value is ahead of the median run, log-uniform in 1e-4 to 0.1, or to 1
    while there is none. Runs go on by a tenth of the horizon.

    Attributes:
        model: name or folder of the model.
        seed: of targets and numbers of steps.

    Source: MFPI-random, Rakotoarison et al., ICML 2024, arXiv 2404.16795, section 4.
    """

    model: str | Path = "default"
    seed: int = 0

    def __call__(self, task: Task, order: Order, **_: object) -> Iterator[Leg]:
        """Gives the legs."""
        model, generator = load(self.model, "cpu"), np.random.default_rng(self.seed)
        horizon = float(np.median(task.horizon))
        stride, points, answers = max(1.0, horizon / 10), dict[int, int](), dict[int, Any]()
        while True:
            shown = np.array([task.peaks[run, n - 1] for run, n in points.items()])
            shown = shown[np.isfinite(shown)]
            best, ahead = generator.uniform(1, horizon), 10 ** generator.uniform(-4, -1)
            ahead, best = best, (shown.max() + ahead * max(shown.max() - np.median(shown), 1e-12) if len(shown) else -math.inf)
            chance = {run: _exceeds(answers[run], task, run, points[run], ahead, best) for run in points if points[run] < task.counts[run]}
            did = [_did(task, run, n, ahead, best) for run, n in points.items()]
            known = [x for x in did if x is not None]
            fresh = (sum(known) + 0.5) / (len(known) + 1) if len(points) < len(order) else -1.0
            run = max(chance, key=chance.__getitem__, default=-1)
            if fresh >= chance.get(run, -1.0):
                if fresh < 0:
                    return
                run = int(order[len(points)])
            before = float(task.steps[run, points[run] - 1]) if run in points else 0.0
            points[run] = max(1, int((task.steps[run, : task.counts[run]] <= before + stride + 1e-9).sum()), points.get(run, 0) + 1)
            points[run] = min(points[run], int(task.counts[run]))
            yield Leg(run, points[run])
            answers[run] = self._answer(model, task, run, points)

    def _answer(self, model: Any, task: Task, run: int, points: dict[int, int]) -> Any:
        n, horizon = points[run], float(task.horizon[run])
        if n >= task.counts[run] or not math.isfinite(task.peaks[run, n - 1]):
            return None
        step = float(task.steps[run, n - 1])
        others = [(task.steps[i, :k], task.values[i, :k]) for i, k in points.items() if i != run and math.isfinite(task.peaks[i, k - 1])]
        at = np.union1d(step + (horizon - step) * np.arange(1, 10) / 10, horizon)
        told = {"others": others[-30:]} if model.reads_others else {}
        return model(task.values[run, :n], task.steps[run, :n], horizon=horizon, mode=task.mode, bounds=task.bounds, at=at, **told)


def _exceeds(answer: Any, task: Task, run: int, n: int, ahead: float, target: float) -> float:
    """P(better than a gain) so many steps ahead, at the nearest step predicted."""
    if answer is None:
        return 0.0
    step = min(float(task.steps[run, n - 1]) + ahead, float(task.horizon[run]))
    return float(answer.prob_better(task.sign * target)[int(np.abs(answer.at - step).argmin())])


def _did(task: Task, run: int, n: int, ahead: float, target: float) -> bool | None:
    """Whether a run exceeded a gain by a step; None if it has not been trained so far."""
    within = task.steps[run, :n] <= ahead
    if within.any() and (task.gains[run, :n][within] > target).any():
        return True
    return False if n >= task.counts[run] or task.steps[run, n - 1] >= ahead else None


def peers(model: str) -> dict[str, Method]:
    """All of them by name, with their defaults; the horizon where they ask for one."""
    found: dict[str, Method] = {f"ifBO's acquisition on lcx:{Path(model).name}": random_target(model)}
    for package, rows in (("optuna", _optuna), ("ray", _ray), ("syne_tune", _syne_tune)):
        if find_spec(package) is None:
            print(f"{package} is not installed: its rows are left out", file=sys.stderr)
        else:
            found |= rows()
    return found


def _optuna() -> dict[str, Method]:
    import optuna.pruners as of

    return {
        "Optuna MedianPruner": optuna_pruner(lambda horizon: of.MedianPruner()),
        "Optuna SuccessiveHalvingPruner": optuna_pruner(lambda horizon: of.SuccessiveHalvingPruner()),
        "Optuna HyperbandPruner": optuna_pruner(lambda horizon: of.HyperbandPruner(max_resource=horizon)),
        "Optuna PatientPruner": optuna_pruner(lambda horizon: of.PatientPruner(of.MedianPruner(), patience=max(1, horizon // 10))),
    }


def _ray() -> dict[str, Method]:
    from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler  # pyright: ignore[reportMissingImports]

    def reporting(rule: Any) -> Callable[[str], Callable[[int, float], bool]]:
        controller = SimpleNamespace(get_trials=list, get_live_trials=list)

        def begin(name: str) -> Callable[[int, float], bool]:
            trial = _Trial(name)
            rule.on_trial_add(controller, trial)

            def stops(step: int, value: float) -> bool:
                told = {"training_iteration": step, "time_total_s": step, "value": value}
                return rule.on_trial_result(controller, trial, told) == TrialScheduler.STOP

            return stops

        return begin

    asked = {"time_attr": "training_iteration", "metric": "value", "mode": "max"}
    return {
        "Ray Tune ASHAScheduler": scheduler(lambda horizon: reporting(ASHAScheduler(**asked, max_t=horizon))),
        "Ray Tune MedianStoppingRule": scheduler(
            lambda horizon: reporting(MedianStoppingRule(**asked, grace_period=max(1, horizon // 10)))
        ),
    }


def _syne_tune() -> dict[str, Method]:
    from syne_tune.backend.trial_status import Trial  # pyright: ignore[reportMissingImports]
    from syne_tune.config_space import uniform  # pyright: ignore[reportMissingImports]
    from syne_tune.optimizer.scheduler import SchedulerDecision  # pyright: ignore[reportMissingImports]
    from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving  # pyright: ignore[reportMissingImports]
    from syne_tune.optimizer.schedulers.median_stopping_rule import MedianStoppingRule  # pyright: ignore[reportMissingImports]

    def reporting(rule: Any) -> Callable[[str], Callable[[int, float], bool]]:
        def begin(name: str) -> Callable[[int, float], bool]:
            trial = Trial(int(name), {"x": 0.5}, datetime.now())
            if hasattr(rule, "on_trial_add"):
                rule.on_trial_add(trial)
            return lambda step, value: rule.on_trial_result(trial, {"step": step, "value": value}) == SchedulerDecision.STOP

        return begin

    space, going_on = {"x": uniform(0, 1)}, SimpleNamespace(on_trial_result=lambda trial, result: SchedulerDecision.CONTINUE)
    asked = {"metric": "value", "do_minimize": False, "time_attr": "step", "random_seed": 0}
    return {
        "Syne Tune ASHA": scheduler(lambda horizon: reporting(AsynchronousSuccessiveHalving(space, **asked, max_t=horizon))),
        "Syne Tune MedianStoppingRule": scheduler(lambda horizon: reporting(MedianStoppingRule(going_on, **asked))),
    }
