"""The Optuna pruner in real studies: what it prunes and why, the same answers as EarlyStopper, storages, threads, several objectives."""

import math
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lcx
from lcx.stopping.false_stops import usual_share
from lcx.stopping.rules import never_better, reaches

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

from lcx.integrations.optuna import LCXPruner, should_prune  # noqa: E402

HORIZON = 20
ENDS = (0.9, 0.55, 0.6)


BOUNDS = {"accuracy": (0, 1), "loss": (0, None)}


def curve(end):
    """Rises to about ``end``."""
    return end - 0.5 * np.arange(1, HORIZON + 1) ** -0.8


def pruner(**options):
    return LCXPruner(HORIZON, **({"bounds": (0, 1), "model": "parametric", "min_points": 4} | options))


def objective(trial, ends, *, first=0, sign=1, returns=False):
    trial.suggest_float("x", 0, 1)
    values = sign * curve(ends[trial.number])
    for step, value in enumerate(values, first):
        trial.report(value, step)
        if trial.should_prune():
            if returns:
                return trial.user_attrs["lcx:predicted"]
            raise optuna.TrialPruned
    return values[-1]


def study_of(made, ends=ENDS, direction="maximize", **options):
    study = optuna.create_study(direction=direction, pruner=made, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: objective(trial, ends, **options), n_trials=len(ends))
    return study


def states(study):
    return [trial.state.name for trial in study.trials]


@pytest.mark.parametrize(
    ("direction", "sign", "bounds"),
    [("maximize", 1, (0, 1)), pytest.param("minimize", -1, (-1, 0), marks=pytest.mark.slow)],  # 1 s
)
def test_hopeless_trials_are_pruned_with_a_reason_and_the_best_is_not(direction, sign, bounds):
    study = study_of(pruner(bounds=bounds), direction=direction, sign=sign)
    assert states(study) == ["COMPLETE", "PRUNED", "PRUNED"]
    for trial, end in zip(study.trials[1:], ENDS[1:], strict=True):
        assert len(trial.intermediate_values) < HORIZON / 2
        assert f"P(better than {sign * curve(0.9)[-1]:.6g}) is at most" in trial.user_attrs["lcx:reason"]
        assert trial.user_attrs["lcx:predicted"] == pytest.approx(sign * end, abs=0.2)
        assert trial.value == trial.intermediate_values[trial.last_step]
    assert "lcx:reason" not in study.trials[0].user_attrs


@pytest.mark.slow  # 2 s and 3 s
@pytest.mark.parametrize(("first", "options"), [(0, {}), (1, {"confirm": 2, "min_points": 2, "rule": never_better(0.2)})])
def test_the_same_decisions_as_an_early_stopper_fed_by_hand(first, options):
    ends = (0.6, 0.9, 0.7, 0.3)
    study = optuna.create_study(direction="maximize", pruner=pruner(**options))
    by_hand = lcx.EarlyStopper(HORIZON, "max", **({"bounds": (0, 1), "model": "parametric", "min_points": 4} | options))
    stopped = 0
    for end in ends:
        trial = study.ask()
        for step, value in enumerate(curve(end), 1):
            value = math.nan if step in (3, 7) else value
            trial.report(value, step - 1 + first)
            verdict = by_hand.update(step, value, run=trial.number)
            assert trial.should_prune() is verdict.stop
            if verdict.stop:
                stopped += 1
                assert trial.user_attrs["lcx:reason"] == verdict.reason
                assert trial.user_attrs["lcx:predicted"] == pytest.approx(by_hand.predicted_value(trial.number), abs=1e-6)
                break
        study.tell(trial, end if not verdict.stop else None, state=optuna.trial.TrialState(2 if verdict.stop else 1))
    assert stopped == 2


@pytest.mark.slow  # 2 s
def test_the_prediction_may_be_returned_and_is_not_what_others_have_to_beat():
    study = study_of(pruner(), ends=(0.9, 0.55, 0.95), returns=True)
    assert states(study) == ["COMPLETE"] * 3
    assert study.trials[1].value == study.trials[1].user_attrs["lcx:predicted"]
    study.add_trial(optuna.trial.create_trial(value=0.99, intermediate_values={0: 0.1}, user_attrs={"lcx:predicted": 0.99}))
    trial = study.ask()
    for step, value in enumerate(curve(0.97)):
        trial.report(value, step)
        assert not trial.should_prune()


def test_odd_reports_and_repeated_questions():
    study = optuna.create_study(direction="maximize", pruner=pruner(stop_on_divergence=3, min_points=3))
    study.add_trial(optuna.trial.create_trial(value=0.9))
    study.add_trial(optuna.trial.create_trial(value=7.0, state=optuna.trial.TrialState.PRUNED, intermediate_values={0: 7.0}))
    trial = study.ask()
    assert not trial.should_prune()
    for step in (5, 3, 4):  # unsorted
        trial.report(0.3 + 0.001 * step, step)
    answers = {trial.should_prune() for _ in range(3)}
    assert len(answers) == 1
    with pytest.warns(UserWarning, match="already reported"):
        trial.report(0.99, 5)
    assert trial.should_prune() in answers
    frozen = study.trials[-1]
    assert "better than 0.9)" in study.pruner.verdict(study, frozen).reason, "not 7, which lies outside the bounds"
    for step in (6, 7, 8):
        assert trial.should_prune() in answers or step > 6
        trial.report(math.nan, step)
    assert trial.should_prune()
    assert "3 in a row" in trial.user_attrs["lcx:reason"]
    diverged = study.ask()
    for step in range(3):
        diverged.report(math.inf, step)
    assert diverged.should_prune()
    assert math.isnan(diverged.user_attrs["lcx:predicted"])


@pytest.mark.slow  # 1 s
def test_a_trial_without_others_is_never_pruned_unless_by_a_target():
    alone = optuna.create_study(pruner=pruner(bounds=(None, None)))
    target = optuna.create_study(direction="maximize", pruner=pruner(rule=reaches(0.9)))
    assert not any(objective_prunes(study) for study in (alone,))
    assert objective_prunes(target)
    assert target.trials[0].user_attrs["lcx:reason"].startswith("P(target 0.9 reached)")


def objective_prunes(study):
    trial = study.ask()
    for step, value in enumerate(curve(0.5)):
        trial.report(value, step)
        if trial.should_prune():
            return True
    return False


def test_wrong_settings_are_refused_at_once_and_a_pruner_is_pickled():
    for options in ({"delta": 2}, {"bounds": (1, 0)}, {"model": "nothing"}, {"confirm": 0}):
        with pytest.raises(ValueError, match="xpected"):
            pruner(**options)
    with pytest.raises(TypeError, match="mode"):
        pruner(mode="max")
    study = study_of(pickle.loads(pickle.dumps(pruner())), ends=(0.9, 0.55))
    assert states(study) == ["COMPLETE", "PRUNED"]
    assert len(pickle.dumps(study.pruner)) < 2000, "no model in it"


@pytest.mark.parametrize("values", [[math.nan] * 9, [0.5, 0.6, 0.65, 0.7] + [math.nan] * 9], ids=["from the start", "later"])
def test_a_trial_that_diverges_is_pruned_though_it_has_no_value_to_return(values):
    def objective(trial):
        for step, value in enumerate(values):
            trial.report(value, step)
            if trial.should_prune():
                return trial.user_attrs["lcx:predicted"]
        return values[-1]

    study = optuna.create_study(direction="maximize", pruner=pruner(stop_on_divergence=3))
    study.optimize(objective, n_trials=1)
    assert states(study) == ["PRUNED"]
    assert "3 in a row; the limit is 3" in study.trials[0].user_attrs["lcx:reason"]

    def objectives(trial):
        for step, value in enumerate(values):
            if should_prune(trial, {"accuracy": value, "loss": 0.3}, step, horizon=HORIZON, model="parametric", stop_on_divergence=3):
                return trial.user_attrs["lcx:predicted"]
        return values[-1], 0.3

    several = optuna.create_study(directions=["maximize", "minimize"])
    several.optimize(objectives, n_trials=1)
    assert states(several) == ["PRUNED"]


def test_each_trial_may_have_a_horizon_of_its_own():
    made = optuna.create_study(direction="maximize", pruner=LCXPruner(_epochs, bounds=(0, 1)))
    trial = made.ask()
    trial.suggest_int("epochs", 6, 6)
    for step in range(6):
        trial.report(0.5, step)
    assert made.pruner.verdict(made, made.trials[-1]).reason == "the horizon 6 is reached"
    with pytest.raises(TypeError, match="horizon"):
        LCXPruner("20")


@pytest.mark.parametrize(("steps", "last"), [(range(20), 20), (range(21), 21), (range(1, 21), 20)])
def test_every_value_counts_whether_steps_end_at_the_horizon_or_one_before_it(steps, last):
    study = optuna.create_study(direction="maximize", pruner=pruner())
    trial = study.ask()
    for step in steps:
        trial.report(0.5 + 0.01 * step, step)
    stopper, verdict = study.pruner._asked(study, study.trials[-1])
    assert verdict.reason == f"the horizon {last} is reached"
    assert stopper.predicted_value() == 0.5 + 0.01 * steps[-1]


def test_the_forecast_of_a_trial_reads_the_other_trials_unless_told_not_to():
    ends, verdicts = (0.9, 0.85, 0.8), []
    for options in ({}, {"others": False}):
        study = optuna.create_study(direction="maximize", pruner=LCXPruner(HORIZON, bounds=(0, 1), **options))
        for end in ends:
            study.add_trial(optuna.trial.create_trial(value=curve(end)[-1], intermediate_values=dict(enumerate(curve(end)))))
        trial = study.ask()
        for step, value in enumerate(curve(0.95)[:5]):
            trial.report(value, step)
        verdicts.append(study.pruner.verdict(study, study.trials[-1]).probability)
    steps = np.arange(1, HORIZON + 1)
    for verdict, others in zip(verdicts, ([(steps, curve(end)) for end in ends], None), strict=True):
        answer = lcx.predict(curve(0.95)[:5], horizon=HORIZON, mode="max", bounds=(0, 1), others=others)
        assert verdict == pytest.approx(answer.prob_better(curve(0.9)[-1]).max(), abs=1e-6)


def _epochs(trial):
    return trial.params["epochs"]


def test_nothing_is_pruned_before_enough_trials_are_complete_and_ignored_ones_do_not_count():
    study = study_of(pruner(min_finished=2), ends=(0.9, 0.55, 0.6))
    assert states(study) == ["COMPLETE", "COMPLETE", "PRUNED"]
    study.set_user_attr("lcx:ignore", [0])
    trial = study.ask()
    for step, value in enumerate(curve(0.4)[:5]):
        trial.report(value, step)
    assert study.pruner.verdict(study, study.trials[-1]).reason == "1 trial(s) are complete, 2 needed first"
    study.pruner = pruner()
    assert f"better than {curve(0.55)[-1]:.6g})" in study.pruner.verdict(study, study.trials[-1]).reason
    several = optuna.create_study(directions=["maximize", "minimize"])
    several.add_trial(optuna.trial.create_trial(values=[0.9, 0.2]))
    assert two_objectives(several.ask(), (0.5, 0.4), steps=range(8), min_finished=2) is None
    assert two_objectives(several.ask(), (0.5, 0.4), steps=range(8)) is not None
    several.set_user_attr("lcx:ignore", [0])
    assert two_objectives(several.ask(), (0.5, 0.4), steps=range(8)) is None


def test_steps_beyond_the_horizon_are_said_once_and_an_evaluation_before_the_first_step_is_none(caplog):
    study = optuna.create_study(direction="maximize", pruner=pruner())
    for _ in range(2):
        trial = study.ask()
        for step in (0, 10, 20):
            trial.report(0.5, step)
            trial.should_prune()
    assert "beyond" not in caplog.text
    for _ in range(2):
        trial = study.ask()
        for step in (100, 200, 300):
            trial.report(0.5, step)
            assert not trial.should_prune()
    assert len([text for text in caplog.messages if "beyond the horizon 20" in text]) == 1


def two_objectives(trial, ends, steps=range(HORIZON), **options):
    accuracy, loss = curve(ends[0]), 1.2 - curve(ends[1])
    for step in steps:
        values = {"accuracy": accuracy[step], "loss": None if step % 3 == 1 else loss[step]}
        if should_prune(trial, values, step, horizon=HORIZON, bounds=BOUNDS, model="parametric", min_points=4, **options):
            return step
    return None


@pytest.mark.slow  # 6 s
def test_with_two_objectives_a_trial_is_stopped_only_if_one_other_is_better_in_both():
    study = optuna.create_study(directions=["maximize", "minimize"])
    trial = study.ask()
    assert two_objectives(trial, (0.9, 0.7)) is None, "nothing to beat"
    study.tell(trial, [0.9, 0.5])
    trial = study.ask()
    assert two_objectives(trial, (0.55, 0.9)) is None, "better in one"
    study.tell(trial, [0.55, 0.3])
    poor = study.ask()
    step = two_objectives(poor, (0.6, 0.45))
    assert step is not None
    assert step < HORIZON / 2
    assert poor.user_attrs["lcx:reason"].startswith("trial 0 is unlikely to be beaten in any objective; accuracy: P(better than 0.9)")
    assert poor.user_attrs["lcx:predicted"] == pytest.approx([0.6, 0.75], abs=0.15)
    study.tell(poor, poor.user_attrs["lcx:predicted"])
    assert two_objectives(study.ask(), (0.75, 0.8)) is None, "a compromise between the two"
    late = study.ask()
    assert two_objectives(late, (0.6, 0.45), confirm=4) > step


def test_several_objectives_keep_curves_and_refuse_what_does_not_fit():
    study = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["accuracy", "loss"])
    trial = study.ask()
    for _ in range(2):
        assert not should_prune(trial, {"loss": 2.0, "accuracy": math.nan}, 0, horizon=9)
    assert trial.user_attrs["lcx:curve"] == {"loss": [[0, 2.0]], "accuracy": [[0, None]]}
    assert should_prune(trial, {"loss": math.inf, "accuracy": math.nan}, 1, horizon=9, stop_on_divergence=2)
    assert trial.user_attrs["lcx:reason"] == "accuracy: no finite value at step 2, 2 in a row; the limit is 2"
    for values, bounds in (({"loss": 1.0}, None), ({"loss": 1.0, "acc": 0.5}, None), ({"loss": 1.0, "accuracy": 0.5}, {"acc": (0, 1)})):
        with pytest.raises(ValueError, match="one value per objective"):
            should_prune(trial, values, 2, horizon=9, bounds=bounds)


STORAGES = {
    "memory": lambda folder: None,
    "sqlite": lambda folder: f"sqlite:///{folder / 'study.db'}",
    "journal": lambda folder: optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "study.log"))),
}


@pytest.mark.slow  # 1, 4 and 1 s
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", STORAGES)
def test_two_threads_on_each_storage(kind, tmp_path):
    made = STORAGES[kind](tmp_path)
    study = optuna.create_study(study_name="s", storage=made, direction="maximize", pruner=pruner())
    ends = (0.9, 0.5, 0.95, 0.55, 0.6, 0.45, 0.4)
    study.optimize(lambda trial: objective(trial, ends), n_trials=1)
    study.optimize(lambda trial: objective(trial, ends), n_trials=5, n_jobs=2)
    assert states(study) == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    assert all({"lcx:reason", "lcx:predicted"} <= trial.user_attrs.keys() for trial in study.trials if trial.state.name == "PRUNED")
    if made is not None:
        again = optuna.load_study(study_name="s", storage=STORAGES[kind](tmp_path), pruner=pruner())
        again.optimize(lambda trial: objective(trial, ends), n_trials=1)
        assert again.trials[-1].state.name == "PRUNED", "all that counts is in the study"


@pytest.mark.slow  # 10 s
def test_two_processes_share_a_study(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import optuna, test_optuna as t\n"
        "study = optuna.load_study(study_name='s', storage=sys.argv[2], pruner=t.pruner())\n"
        "study.optimize(lambda trial: t.objective(trial, (0.9, 0.5, 0.55, 0.6, 0.45)), n_trials=2)"
    )
    address = STORAGES["sqlite"](tmp_path)
    study = optuna.create_study(study_name="s", storage=address, direction="maximize", pruner=pruner())
    study.optimize(lambda trial: objective(trial, (0.9,)), n_trials=1)
    command = [sys.executable, "-c", code, str(Path(__file__).parent), address]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
    assert states(study) == ["COMPLETE"] + ["PRUNED"] * 4


@pytest.mark.slow  # 12 s
def test_the_example_prunes_and_says_what_it_saved(capsys):
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "integrations" / "optuna_pruner.py"))
    lines = capsys.readouterr().out.splitlines()
    assert any("P(better than" in line for line in lines)
    assert "epochs" in lines[-1]


def test_the_limit_for_a_rate_of_false_stops_falls_with_the_number_of_trials():
    study = study_of(pruner(false_stops=0.1), ends=(0.9, 0.8, 0.7))
    trial = study.ask()
    for step, value in enumerate(curve(0.6)[:5]):
        trial.report(value, step)
    assert f"the limit is {usual_share(0.1) / 4:g}" in study.pruner.verdict(study, study.trials[-1]).reason
    with pytest.raises(ValueError, match="got both"):
        pruner(false_stops=0.1, rule=never_better())


def test_control_is_refused_since_it_would_spare_every_trial_or_none():
    with pytest.raises(ValueError, match="got control"):
        pruner(control=0.5)
    several = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(ValueError, match="got control"):
        two_objectives(several.ask(), (0.5, 0.4), steps=range(8), control=0.5)
