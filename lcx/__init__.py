"""lcx: from the first part of a training curve, the posterior predictive of the rest, in one forward pass.

>>> import lcx
>>> answer = lcx.predict([0.31, 0.42, 0.48], horizon=20, mode="max", bounds=(0, 1))
>>> answer.quantile([0.05, 0.5, 0.95])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcx.curves import Curves as Curves
    from lcx.extrapolation import Extrapolation as Extrapolation
    from lcx.extrapolator import Extrapolator as Extrapolator
    from lcx.extrapolator import load as load
    from lcx.extrapolator import predict as predict
    from lcx.predictive import Predictive as Predictive
    from lcx.priors import sample_prior as sample_prior
    from lcx.reference import MCMCInfo as MCMCInfo
    from lcx.reference import NotConverged as NotConverged
    from lcx.reference import mcmc as mcmc
    from lcx.scoring import BatchScorer as BatchScorer
    from lcx.stopping import EarlyStopper as EarlyStopper
    from lcx.stopping import Verdict as Verdict
    from lcx.stopping.ahead import crossing_steps as crossing_steps
    from lcx.stopping.ahead import prob_ahead as prob_ahead

    __version__: str

__all__ = [
    "BatchScorer",
    "Curves",
    "EarlyStopper",
    "Extrapolation",
    "Extrapolator",
    "MCMCInfo",
    "NotConverged",
    "Predictive",
    "Verdict",
    "crossing_steps",
    "load",
    "mcmc",
    "predict",
    "prob_ahead",
    "sample_prior",
]

# torch takes seconds to load: each name comes from here when it is first asked for. Type checkers read the imports above.
_FROM = {
    "BatchScorer": "lcx.scoring",
    "Curves": "lcx.curves",
    "EarlyStopper": "lcx.stopping",
    "Extrapolation": "lcx.extrapolation",
    "Extrapolator": "lcx.extrapolator",
    "MCMCInfo": "lcx.reference",
    "NotConverged": "lcx.reference",
    "Predictive": "lcx.predictive",
    "Verdict": "lcx.stopping",
    "crossing_steps": "lcx.stopping.ahead",
    "load": "lcx.extrapolator",
    "mcmc": "lcx.reference",
    "predict": "lcx.extrapolator",
    "prob_ahead": "lcx.stopping.ahead",
    "sample_prior": "lcx.priors",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _FROM:
        from importlib import import_module

        value = getattr(import_module(_FROM[name]), name)
    else:
        raise AttributeError(f"module 'lcx' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    """What was installed; in a source tree that was not, what its pyproject.toml says, from which the other is made."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lcx")
    except PackageNotFoundError:
        import tomllib
        from pathlib import Path

        return tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
