"""Every peer: how it is asked, on how many curves, and with what."""

from dataclasses import dataclass
from functools import wraps

import numpy as np

from benchmarks.curves import RealCurve
from benchmarks.forecasts import baselines
from benchmarks.peers.deephyper import deephyper, stopper
from benchmarks.peers.empirical_gp import empirical_gp
from benchmarks.peers.gaussian_process import gaussian_process
from benchmarks.peers.time_series import LEAST, fracast
from benchmarks.studies.ask import Law, Rival
from benchmarks.studies.questions import Run
from benchmarks.studies.rivals import empirical

ALONE, TOLD = "0", "10"  # settings of benchmarks/studies/questions.py


@dataclass(frozen=True)
class Peer:
    """Rivals that are asked together, and how.

    Attributes:
        answers: each gives a law from a target, its number of points seen and the others.
        setting: which others are told, to them and to lcx.
        curves: targets per source; slow peers see the first of those that quick ones see.
        least: points needed; targets of fewer are not asked for, of lcx neither.
        sources: beginnings of the names of the sources asked about; "" is all.
        half: the one whose equal mixture with lcx is scored too; "" for none.
        packages: whose versions are recorded.
    """

    answers: dict[str, Rival]
    setting: str = ALONE
    curves: int = 4
    least: int = 2
    sources: tuple[str, ...] = ("",)
    half: str = ""
    packages: tuple[str, ...] = ()


def alone(rival: baselines.Rival) -> Rival:
    """A rival of single curves as one that may be told others, and reads none; no fit is kept from one call to the next."""

    @wraps(getattr(rival, "func", rival))
    def answer(curve: RealCurve, cut: int, others: list[Run]) -> Law:
        baselines.forget()
        found = rival(curve.values[:cut], curve.steps[:cut], curve.steps[cut:], curve.mode, curve.bounds)
        return Law(np.ones_like(found.loc), found.loc, found.scale)

    return answer


GRIDS = ("algoperf", "deepobs", "nasbench", "taskset")  # sources whose studies have a grid of steps, or one to be thinned to
BOTORCH, DEEPHYPER = ("botorch", "gpytorch"), ("deephyper", "jax", "numpyro")
LEAST_SQUARES = {name: alone(baselines.RIVALS[name]) for name in ("pow3", "pow4", "mmf", "m4", "ensemble")}
PEERS = {
    "least-squares": Peer(LEAST_SQUARES, curves=12, half="pow3"),
    "fracast": Peer({"fracast": alone(fracast)}, curves=24, least=LEAST, packages=("fracast",)),
    "increments": Peer({"others' increments": empirical}, TOLD, 24),
    "empirical-gp": Peer({"BoTorch empirical GP": empirical_gp}, TOLD, 2, sources=GRIDS, packages=BOTORCH),
    "latent-kronecker-gp": Peer({"BoTorch latent Kronecker GP": gaussian_process}, TOLD, 8, packages=BOTORCH),
    "deephyper": Peer({"DeepHyper": alone(deephyper), "LCModelStopper": alone(stopper)}, curves=1, least=4, packages=DEEPHYPER),
}
