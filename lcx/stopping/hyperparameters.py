"""Which run to begin next, from the hyperparameters of all runs and from what is known of the runs begun.

The final values of the runs begun, forecast or seen, become normal scores of the study: what a value is worth is its place among the
others, so a diverged run is a bad one and no more. A forest of randomised trees learns these scores from the hyperparameters; the spread
over its trees says how little is known of a run not begun. The run to begin is the one with the largest expected improvement over the best
of those begun. A run that was stopped or paused teaches its forecast, the less the wider that is: every leaf of a tree holds at least as
much as the run known best tells, so it averages several runs of which little is known.

Source: expected improvement with a forest is Hutter, Hoos and Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm
Configuration", LION 2011; extremely randomised trees are Geurts, Ernst and Wehenkel, Machine Learning 63, 2006. Learning from forecasts of
unfinished runs is Swersky, Snoek and Adams, "Freeze-Thaw Bayesian Optimization", 2014, arXiv 1406.3896. The scores are ours.
"""

import math
from collections.abc import Container, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from lcx.curves import direction
from lcx.extrapolation import Extrapolation
from lcx.stopping.intake import as_number, as_run

LEVELS = (np.arange(20) + 0.5) / 20  # quantiles that stand for a forecast
FEWEST = 5  # runs begun before hyperparameters count; until then runs begin in the order given
TREES = 100
LEAST_SPREAD = 0.1  # of the forest, normal scores: repeats of one setting differ by chance too
HALF = 0.2  # variance of a forecast that tells half as much as a finished run, squared normal scores


def table_of(rows: Sequence[Any]) -> Float[np.ndarray, "n H"]:
    """Hyperparameters as numbers from 0 to 1: a number by its rank among the runs, anything else by a column for each text.

    Ranks make the scale of a hyperparameter, linear or logarithmic, of no matter. A missing one (absent, None or NaN) counts as the middle,
    and a column of its own says that it is missing.

    Args:
        rows: {name: value} for each of n runs. Truth values, texts and whatever is not a number are categories.

    Raises:
        TypeError: a row is not a mapping.
    """
    if (wrong := next((row for row in rows if not isinstance(row, Mapping)), None)) is not None:
        raise TypeError(f"expected the hyperparameters of a run as {{name: value}}, got {wrong!r:.80}; write {{'lr': 0.1}}, say")
    columns = [np.zeros(len(rows))]  # so that there is one
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        missing = np.array([x is None or (_is_number(x) and math.isnan(as_number(x, name))) for x in values])
        given: list[Any] = [x for x, gone in zip(values, missing, strict=True) if not gone]
        if all(map(_is_number, given)):
            places = np.full(len(rows), 0.5)
            places[~missing] = _ranks(np.array([as_number(x, name) for x in given]))
            columns += [places] + [missing.astype(float)] * bool(missing.any())
        else:
            texts = [None if gone else str(x) for x, gone in zip(values, missing, strict=True)]
            columns += [np.array([text == one for text in texts], dtype=float) for one in dict.fromkeys(texts)]
    return np.stack(columns, 1)


def expected_improvement(
    table: Float[np.ndarray, "n H"], begun: Int[np.ndarray, "m"], ends: Float[np.ndarray, "m K"]
) -> Float[np.ndarray, "n"]:
    """How much better each run is expected to end than the best of those begun; 0 for all if fewer than ``FEWEST`` were begun.

    Args:
        table: of :func:`table_of`, of all n runs.
        begun: which of them were begun, m indices.
        ends: (m, K) evenly spaced quantiles of the final value of each, larger being better; K equal numbers where it is known.

    Returns:
        (n,) in normal scores of the study, >= 0.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    if len(begun) < FEWEST:
        return np.zeros(len(table))
    try:
        from scipy.special import ndtr, ndtri
        from sklearn.ensemble import ExtraTreesRegressor
    except ImportError as error:
        raise ImportError("expected scikit-learn, which learns from hyperparameters, got none; pip install 'lcx[hpo]'") from error
    scores = ndtri((0.5 + (ends.size - 1) * _ranks(ends.ravel())) / ends.size).reshape(ends.shape)
    known = HALF / (HALF + scores.var(1))
    leaf = min(0.5, known.max() / known.sum() * (1 - 1e-9))
    forest = ExtraTreesRegressor(TREES, min_weight_fraction_leaf=leaf, random_state=0).fit(table[begun], scores.mean(1), known)
    told = np.stack([tree.tree_.predict(table.astype(np.float32)).ravel() for tree in forest.estimators_])
    mean, spread = told.mean(0), told.std(0) + LEAST_SPREAD
    ahead = (mean - scores.mean(1).max()) / spread
    return spread * (ahead * ndtr(ahead) + np.exp(-(ahead**2) / 2) / math.sqrt(2 * math.pi))


def as_rows(hyperparameters: Any) -> dict[str | int | None, Mapping[str, Any]]:
    """{run: {name: value}} with names as :func:`lcx.stopping.intake.as_run` gives them.

    Raises:
        TypeError: it is not a mapping, or a name is of a wrong type.
    """
    if not isinstance(hyperparameters, Mapping):
        raise TypeError(f"expected hyperparameters as {{run: {{name: value}}}}, got {hyperparameters!r:.80}; give each run a name")
    return {as_run(run): row for run, row in hyperparameters.items()}


def next_new(rows: Mapping[Any, Mapping[str, Any]], begun: Container[Any], ends: Mapping[Any, Float[np.ndarray, "K"]]) -> Any:
    """The name of the run to begin next, that with the largest expected improvement, the first of equal ones; None if all have begun.

    Args:
        rows: the hyperparameters of each run by its name, those of runs begun among them.
        begun: names of the runs that have begun.
        ends: as in :func:`expected_improvement`, of runs begun, by name; without hyperparameters they tell nothing.
    """
    names = list(rows)
    waiting = [i for i, name in enumerate(names) if name not in begun]
    known = np.array([i for i, name in enumerate(names) if name in ends], dtype=int)
    if not waiting:
        return None
    told = np.array([ends[names[i]] for i in known]).reshape(len(known), len(LEVELS))
    return names[waiting[int(expected_improvement(table_of(list(rows.values())), known, told)[waiting].argmax())]]


def quantiles_at_end(extrapolation: Extrapolation) -> Float[np.ndarray, "B K"]:
    """The quantiles of :data:`LEVELS` of the last value of each curve, larger being better; also of one curve, then B = 1."""
    real = ~extrapolation.steps_ahead.isnan()
    last = torch.arange(real.shape[1]) == real.sum(1, keepdim=True) - 1
    told = extrapolation.predictive.at(last).icdf(torch.from_numpy(LEVELS[:, None]))
    return np.sort(direction(extrapolation.mode) * told.numpy().T, axis=-1)


def _is_number(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, (bool, np.bool_))


def _ranks(x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The rank of each number from 0 to 1, the mean rank of equal ones; 0.5 if there is one number."""
    below, upto = (np.searchsorted(np.sort(x), x, side) for side in ("left", "right"))
    return (below + upto - 1) / 2 / (len(x) - 1) if len(x) > 1 else np.full(len(x), 0.5)
