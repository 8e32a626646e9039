"""What people would use instead: the pruners of Optuna, run from its own package on the same runs in the same orders.

WilcoxonPruner is left out: it compares trials instance by instance, and a learning curve has no instances.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lcx.replay.methods import Leg, Order
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

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = self.make(int(np.median(task.horizon)))
            study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
        for run in order:
            trial, count = study.ask(), int(task.counts[run])
            points = count
            for k in range(count - 1):
                if np.isfinite(value := float(task.gains[run, k])):
                    trial.report(value, int(task.steps[run, k]))
                    if trial.should_prune():
                        points = k + 1
                        break
            best = float(task.peaks[run, points - 1])
            study.tell(trial, best if np.isfinite(best) and points == count else None, state=_state(points == count and np.isfinite(best)))
            yield Leg(run, points)


def _state(complete: Any) -> Any:
    from optuna.trial import TrialState

    return TrialState.COMPLETE if complete else TrialState.PRUNED


def optuna_pruners() -> dict[str, optuna_pruner]:
    """Optuna's pruners with their defaults, by name; the horizon where they ask for one."""
    import optuna.pruners as of

    return {
        "Optuna MedianPruner": optuna_pruner(lambda horizon: of.MedianPruner()),
        "Optuna SuccessiveHalvingPruner": optuna_pruner(lambda horizon: of.SuccessiveHalvingPruner()),
        "Optuna HyperbandPruner": optuna_pruner(lambda horizon: of.HyperbandPruner(max_resource=horizon)),
        "Optuna PatientPruner": optuna_pruner(lambda horizon: of.PatientPruner(of.MedianPruner(), patience=max(1, horizon // 10))),
    }
