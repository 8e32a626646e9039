"""Which run to begin next, from the hyperparameters of all runs and from what is known of the runs begun.

The final values of the runs begun, forecast or seen, become normal scores of the study: what a value is worth is its place among the
others, so a diverged run is a bad one and no more. A forest of randomised trees learns these scores from the hyperparameters; the spread
over its trees says how little is known of a run not begun. The run to begin is the one with the largest expected improvement over the best
of those begun. A run that was stopped or paused teaches its forecast, the less the wider that is: every leaf of a tree holds at least as
much as the run known best tells, so it averages several runs of which little is known.

Earlier studies of the same hyperparameters, of another dataset or network say, tell where to begin: a forest learns the normal scores that
runs had in these, and expects one of each run here (:func:`with_earlier_studies`). From the first run on, a straight line through what was
expected and what came, which begins at ``TRUST`` and counts ``RUNS`` runs, says how much these studies are worth here; the forest of this
study learns what the line leaves over. Only differences between runs begun count, since these are no sample: they were chosen as good ones.

Source: expected improvement with a forest is Hutter, Hoos and Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm
Configuration", LION 2011; extremely randomised trees are Geurts, Ernst and Wehenkel, Machine Learning 63, 2006. Learning from forecasts of
unfinished runs is Swersky, Snoek and Adams, "Freeze-Thaw Bayesian Optimization", 2014, arXiv 1406.3896. Ranks that make studies alike are
Bardenet et al., "Collaborative Hyperparameter Tuning", ICML 2013. The scores, and how they are joined, are ours.
"""

import math
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
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
EXPECTED = "expected score"  # an entry beside the hyperparameters: what earlier studies expect of a run, normal scores
TRUST, RUNS = 0.8, 2  # in earlier studies at the start, and how many runs of this one weigh as much
SMALLEST = 3  # runs in a leaf of the forest that learns from earlier studies


def table_of(rows: Sequence[Any]) -> Float[np.ndarray, "n H"]:
    """Hyperparameters as numbers from 0 to 1: a number by its rank among the runs, anything else by a column for each text.

    Ranks make the scale of a hyperparameter, linear or logarithmic, of no matter. A missing one (absent, None, NaN or NA) counts as the
    middle, and a column of its own says that it is missing. Texts that no two runs share, such as a name, teach nothing about another run,
    and the entry :data:`EXPECTED` is no hyperparameter: both are left out.

    Args:
        rows: {name: value} for each of n runs. Truth values, texts and whatever is not a number are categories.

    Raises:
        TypeError: a row is not a mapping.
    """
    if wrong := [row for row in rows if not isinstance(row, Mapping)]:
        raise TypeError(f"expected the hyperparameters of a run as {{name: value}}, got {wrong[0]!r:.80}; write {{'lr': 0.1}}, say")
    columns = [np.zeros(len(rows))]  # so that there is one
    for name in dict.fromkeys(name for row in rows for name in row if name != EXPECTED):
        values = [_plain(row.get(name)) for row in rows]
        missing = np.array([x is None for x in values])
        given: list[Any] = [x for x in values if x is not None]
        if all(isinstance(x, float) for x in given):
            places = np.full(len(rows), 0.5)
            places[~missing] = _ranks(np.array(given))
            columns += [places] + [missing.astype(float)] * bool(missing.any())
        elif len(set(map(str, given))) < len(given):
            texts = [None if x is None else str(x) for x in values]
            columns += [np.array([text == one for text in texts], dtype=float) for one in dict.fromkeys(texts)]
    return np.stack(columns, 1)


def with_earlier_studies(hyperparameters: Any, earlier: Any, mode: str) -> dict[Any, dict[str, Any]]:
    """The hyperparameters of runs, each with one more entry, :data:`EXPECTED`: how well earlier studies expect the run to end.

    Every study counts the same, however many runs it has. Metrics and their scales may differ, since only places within a study count;
    hyperparameters that one study does not have are missing there.

    Args:
        hyperparameters: {run: {name: value}} of this study.
        earlier: the runs of each earlier study as (hyperparameters, final value) pairs; None, NaN or infinite is the worst value.
        mode: "max" or "min", of all of them.

    Returns:
        {run: {name: value}} in the order given, for ``EarlyStopper.next_new`` and ``next_run``, and for ``lcx.replay.as_task``.

    Raises:
        TypeError: something is not a mapping, or a final value is not a number.
        ValueError: there is no earlier run, a run is no pair, no earlier run has a hyperparameter of this study, or the mode is neither.
        ImportError: scikit-learn is not installed.
    """
    named, sign = as_rows(hyperparameters), direction(mode)
    try:
        studies = [list(study) for study in earlier]
    except TypeError:
        raise TypeError(f"expected earlier studies as lists of runs, got {earlier!r:.80}; give a list for each study") from None
    runs = [run for study in studies for run in study]
    wrong = [run for run in runs if isinstance(run, str) or not isinstance(run, Sequence) or len(run) != 2]
    if wrong or not runs:
        came = f"{wrong[0]!r:.80}" if wrong else "none"
        raise ValueError(f"expected runs of earlier studies as (hyperparameters, final value) pairs, got {came}; give each run as a pair")
    ends = [np.array([_end(value, sign) for _, value in study]) for study in studies if study]
    table = table_of([*named.values(), *(row for row, _ in runs)])
    here, before = ({name for row in rows for name in row} for rows in (named.values(), (row for row, _ in runs)))
    if here and not here & before:
        raise ValueError(
            f"expected earlier runs with hyperparameters of this study, {_few(here)}, got {_few(before)}; give these the same names"
        )
    scores, weights = (np.concatenate(x) for x in ([_scores(one) for one in ends], [np.full(len(one), 1 / len(one)) for one in ends]))
    forest = _trees(min_samples_leaf=SMALLEST).fit(table[len(named) :], scores, weights)
    expected = forest.predict(table[: len(named)]) if named else []
    return {run: {**row, EXPECTED: float(score)} for (run, row), score in zip(named.items(), expected, strict=True)}


def expected_of(rows: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "n"] | None:
    """The :data:`EXPECTED` entry of each row, 0, the middle of a study, where there is none; None if no row has one."""
    told = [as_number(row.get(EXPECTED, 0.0), EXPECTED) for row in rows]
    return np.array(told) if any(EXPECTED in row for row in rows) else None


def expected_improvement(
    table: Float[np.ndarray, "n H"],
    begun: Int[np.ndarray, "m"],
    ends: Float[np.ndarray, "m K"],
    expected: Float[np.ndarray, "n"] | None = None,
) -> Float[np.ndarray, "n"]:
    """How much better each run is expected to end than the best of those begun.

    Args:
        table: of :func:`table_of`, of all n runs.
        begun: which of them were begun, m indices.
        ends: (m, K) evenly spaced quantiles of the final value of each, larger being better; K equal numbers where it is known.
        expected: of :func:`expected_of`.

    Returns:
        (n,) in normal scores of the study, >= 0. With nothing expected, 0 for all if fewer than ``FEWEST`` runs were begun; else, if none
        was, how far what is expected of a run is above the least.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    if expected is None and len(begun) < FEWEST:
        return np.zeros(len(table))
    if expected is not None and not len(begun):
        return expected - expected.min()
    scores = _scores(ends)
    known, came = HALF / (HALF + scores.var(1)), scores.mean(1)
    base, share = np.zeros(len(table)), 1.0
    if expected is not None:
        base, share = _line(expected, begun, came, known), known.sum() / (RUNS + known.sum())
    leaf = min(0.5, known.max() / known.sum() * (1 - 1e-9))
    forest = _trees(min_weight_fraction_leaf=leaf).fit(table[begun], came - base[begun], known)
    told = share * np.stack([tree.tree_.predict(table.astype(np.float32)).ravel() for tree in forest.estimators_])
    mean, spread = base + told.mean(0), told.std(0) + LEAST_SPREAD
    from scipy.special import ndtr

    ahead = (mean - came.max()) / spread
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
        rows: the hyperparameters of each run by its name, those of runs begun among them, perhaps of :func:`with_earlier_studies`.
        begun: names of the runs that have begun.
        ends: as in :func:`expected_improvement`, of runs begun, by name; without hyperparameters they tell nothing.
    """
    names = list(rows)
    waiting = [i for i, name in enumerate(names) if name not in begun]
    known = np.array([i for i, name in enumerate(names) if name in ends], dtype=int)
    if not waiting:
        return None
    told = np.array([ends[names[i]] for i in known]).reshape(len(known), len(LEVELS))
    every = list(rows.values())
    return names[waiting[int(expected_improvement(table_of(every), known, told, expected_of(every))[waiting].argmax())]]


def quantiles_at_end(extrapolation: Extrapolation) -> Float[np.ndarray, "B K"]:
    """The quantiles of :data:`LEVELS` of the last value of each curve, larger being better; also of one curve, then B = 1."""
    real = ~extrapolation.steps_ahead.isnan()
    last = torch.arange(real.shape[1]) == real.sum(1, keepdim=True) - 1
    told = extrapolation.predictive.at(last).icdf(torch.from_numpy(LEVELS[:, None]))
    return np.sort(direction(extrapolation.mode) * told.numpy().T, axis=-1)


def _trees(**options: Any) -> Any:
    try:
        from sklearn.ensemble import ExtraTreesRegressor
    except ImportError as error:
        raise ImportError("expected scikit-learn, which learns from hyperparameters, got none; pip install 'lcx[hpo]'") from error
    return ExtraTreesRegressor(TREES, random_state=0, **options)


def _scores(ends: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The normal scores of all these numbers together."""
    from scipy.special import ndtri

    return ndtri((0.5 + (ends.size - 1) * _ranks(ends.ravel())) / ends.size).reshape(ends.shape)


def _line(
    expected: Float[np.ndarray, "n"], begun: Int[np.ndarray, "m"], came: Float[np.ndarray, "m"], known: Float[np.ndarray, "m"]
) -> Float[np.ndarray, "n"]:
    """What the earlier studies say of all runs, once it is known what came of some: a ridge regression with a slope of its own at first."""
    here, usual = expected[begun], RUNS * expected.var()
    apart, middle = here - np.average(here, weights=known), np.average(came, weights=known)
    slope = (known @ (apart * (came - middle)) + TRUST * usual) / max(known @ apart**2 + usual, 1e-12)
    return middle + max(slope, 0.0) * (expected - np.average(here, weights=known))


def _few(names: set[str]) -> str:
    return ", ".join(sorted(map(str, names))[:5]) + (", ..." if len(names) > 5 else "") or "none"


def _end(value: Any, sign: int) -> float:
    end = math.nan if value is None else as_number(value, "final value")
    return sign * end if math.isfinite(end) else -math.inf  # whatever its sign: such a run has diverged


def _plain(x: Any) -> Any:
    """A number as float, None if it is missing; anything else, truth values too, as it is."""
    if x is None or isinstance(x, (str, bool, np.bool_)):
        return x
    if not isinstance(x, (Real, Decimal)) and getattr(x, "ndim", None) != 0:  # 0: an array or tensor of one number
        return None if type(x).__name__ in ("NAType", "NaTType") else x
    number = as_number(x, "hyperparameter")
    return None if math.isnan(number) else number


def _ranks(x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """The rank of each number from 0 to 1, the mean rank of equal ones; 0.5 if there is one number."""
    below, upto = (np.searchsorted(np.sort(x), x, side) for side in ("left", "right"))
    return (below + upto - 1) / 2 / (len(x) - 1) if len(x) > 1 else np.full(len(x), 0.5)
