"""``BatchScorer``: batches of curves in, the same kind of batch with their predictions out, for engines that map over batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from lcx.arrays import as_floats
from lcx.curves import as_curves, direction
from lcx.extrapolation import Extrapolation
from lcx.extrapolator import Extrapolator, load
from lcx.scoring.columns import Lists, like, names_of, read_lists, read_numbers, read_words, rows_of

_ROWS = 512  # curves answered at once
_NUMBERS = 1 << 16  # and at most so many of their points and steps to predict: bounds memory whatever the size of a batch
READ = ("values", "steps", "horizon", "mode", "lower", "upper", "best", "at_count")  # columns looked for
_WRITTEN = ("row", "mean", "median", "std", "prob_better", "at", "at_median", "error")


@dataclass(frozen=True, kw_only=True)
class BatchScorer:
    """Callable that predicts the end of every curve of a batch; holds nothing but its arguments, so it pickles in a few bytes.

    Weights are loaded on the first call in each process. A batch is a dict of arrays, a pandas DataFrame, or an Arrow Table or
    RecordBatch; the answer is of the same kind, a row per row in the same order. Numbers are those of :func:`lcx.predict`.

    Columns read, one row per curve; those marked * may be left out, or be null in a row, which then takes the argument of that name:
        values: list of numbers, the metric so far, user's unit; null or NaN is missing.
        steps*: list as long as values, the step of each, > 0, rising; default 1, 2, ...
        horizon*, mode*: last step of the run; "max" or "min".
        lower*, upper*: known hard limits of the metric (the argument is ``bounds``).
        best*: value to beat. at_count*: as the argument ``at``.
        run*, or others in ``keep``: handed on as they are.

    Columns written:
        mean, median, std: of the metric at the horizon, user's unit.
        "0.05", "0.25", ...: quantiles of it, a column for each of ``quantiles``.
        prob_better: P(metric at the horizon better than best); only if there is an argument or a column best, missing where best is.
        at, at_median, "at_0.05", ...: lists, the steps predicted and quantiles there; only with an argument ``at`` or a column at_count.
        error: empty, or why the row has no answer: in the words of :func:`lcx.predict`. Its numbers are then missing (null in Arrow, NaN
            elsewhere) and its lists empty. No number is missing without an error, prob_better aside.

    A long table, a row per point as ``lcx.readers.read`` gives, becomes one row per curve by
    ``long.groupby(["run", "metric"], as_index=False).agg(values=("value", list), steps=("step", list))`` and a horizon.

    Ray Data, weights loaded once per actor::

        dataset.map_batches(lcx.BatchScorer, fn_constructor_kwargs={"horizon": 100, "mode": "max"}, batch_format="pyarrow",
                            batch_size=4096, compute=ray.data.ActorPoolStrategy(size=8))

    Spark::

        scorer = lcx.BatchScorer(horizon=100, mode="max")
        frame.mapInPandas(scorer.each, schema=scorer.schema(run="string"))

    Dask (``dask.config.set({"dataframe.convert-string": False})`` first if the lists come from pandas: it makes strings of them)::

        frame.map_partitions(scorer, meta=scorer(frame._meta))

    Args:
        model: name of a shipped model or folder of a saved one.
        device: where to compute; default CUDA if there is one.
        horizon, mode, bounds, best: of every row that does not say otherwise, as in :func:`lcx.predict`.
        quantiles: levels, each in (0, 1), beside the median.
        at: number of steps to predict, evenly spaced after the last one seen and ending at the horizon; 0: only the horizon.
        keep: columns to hand on, as far as they are there.

    Raises:
        ValueError, TypeError: an argument breaks a rule above.
    """

    model: str = "default"
    device: str | None = None
    horizon: float | None = None
    mode: str | None = None
    bounds: tuple[float | None, float | None] = (None, None)
    best: float | None = None
    quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95)
    at: int = 0
    keep: Sequence[str] = ("run",)

    def __post_init__(self) -> None:
        levels = as_floats(list(self.quantiles), "quantiles") if len(self.quantiles) else np.empty(0)
        if not ((levels > 0) & (levels < 1)).all() or len(set(levels)) < len(levels):
            raise ValueError(f"expected different quantile levels inside (0, 1), got {self.quantiles}; write 0.95 for 95 %")
        if isinstance(self.at, bool) or not isinstance(self.at, int) or not 0 <= self.at <= _NUMBERS:
            raise ValueError(f"expected at as a whole number of steps from 0 to {_NUMBERS}, got {self.at!r}; write 20 for twenty of them")
        keep = (self.keep,) if isinstance(self.keep, str) else tuple(dict.fromkeys(self.keep))
        if clash := sorted({*keep} & {*_WRITTEN, *map(str, levels)}):
            raise ValueError(f"expected to keep columns other than those written, got {clash}; rename them in the input")
        if self.mode is not None:
            direction(self.mode)
        inside = next((bound for bound in self.bounds if bound is not None), 0.0)
        as_curves([inside], [1], horizon=2, bounds=self.bounds)  # refuses the bounds
        for name, number in (("horizon", self.horizon), ("best", self.best)):
            if number is not None and not np.isfinite(as_floats([number], name)).all():
                raise ValueError(f"expected {name} as a finite number, got {number}; correct it or leave it out")
        for name, value in (("model", str(self.model)), ("quantiles", tuple(levels.tolist())), ("keep", keep)):
            object.__setattr__(self, name, value)

    def __call__(self, batch: Any) -> Any:
        """The answers to a batch, of the same kind; a bad row gets an error, it raises nothing.

        Raises:
            ValueError: no column values, no horizon or no mode, neither as column nor as argument; columns unequally long or equally named.
            TypeError: the batch is of no kind known.
        """
        names = names_of(batch, (*READ, *self.keep))
        for name, given in (("values", None), ("horizon", self.horizon), ("mode", self.mode)):
            if name not in names and given is None:
                raise ValueError(f"expected a column {name!r}, got {names}; add it{' or give the argument' * (name != 'values')}")
        asked = _Asked(self, batch)
        answers = _Answers(self, asked)
        for settings, rows in asked.parts():
            for some, answer in _answered(load(self.model, self.device), asked, settings, rows):
                answers.take(some, answer)
        return like(batch, [name for name in self.keep if name in names], answers.columns())

    def each(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The answers to batches one after another: what Spark's ``mapInPandas`` calls."""
        return map(self, batches)

    def schema(self, *, best: bool | None = None, at: bool | None = None, **keep: str) -> str:
        """Spark's description of the columns written.

        Args:
            best: whether the batches have a column best; default: whether there is an argument.
            at: likewise of at_count.
            keep: types of the columns handed on, such as run="string".
        """
        best, at = self.best is not None if best is None else best, self.at > 0 if at is None else at
        numbers = ["mean", "median", "std", *map(str, self.quantiles), *["prob_better"] * best]
        lists = ["at", "at_median", *(f"at_{level}" for level in self.quantiles)] if at else []
        kinds = {**keep, **dict.fromkeys(numbers, "double"), **dict.fromkeys(lists, "array<double>"), "error": "string"}
        return ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())


class _Asked:
    """What a batch asks, defaults filled in; ``errors`` holds what is wrong with each row, and is added to."""

    def __init__(self, scorer: BatchScorer, batch: Any) -> None:
        count, names = rows_of(batch), names_of(batch)
        self.errors = errors = [""] * count

        def column(name: str, default: float | None) -> Float[np.ndarray, "N"]:
            found = read_numbers(batch, name, errors) if name in names else np.full(count, np.nan)
            return np.where(np.isnan(found), np.nan if default is None else default, found)

        self.values = read_lists(batch, "values", errors)
        self.steps = read_lists(batch, "steps", errors) if "steps" in names else Lists(np.empty(0), np.zeros(count, dtype=np.int64))
        self.horizon, self.best, at = column("horizon", scorer.horizon), column("best", scorer.best), column("at_count", scorer.at)
        self.lower, self.upper = column("lower", scorer.bounds[0]), column("upper", scorer.bounds[1])
        modes = read_words(batch, "mode") if "mode" in names else [None] * count
        self.mode = [scorer.mode if mode is None else mode for mode in modes]
        self.has_best, self.has_at = scorer.best is not None or "best" in names, scorer.at > 0 or "at_count" in names
        for i in np.flatnonzero(~((at >= 0) & (at <= _NUMBERS) & (at == np.floor(at)))):
            errors[i] = errors[i] or f"Expected at_count as a whole number from 0 to {_NUMBERS}; got {at[i]}. Write 20 for twenty steps."
            at[i] = 0
        self.at_count = at.astype(np.int64)

    def parts(self) -> Iterator[tuple[Any, Int[np.ndarray, "M"]]]:
        """(mode, bounds), and rows without error to ask about together: with these, of about the same length, and not too many."""
        groups: dict[Any, list[int]] = {}
        ends = ([None if x != x else x for x in end.tolist()] for end in (self.lower, self.upper))
        for i, (mode, *bounds) in enumerate(zip(self.mode, *ends, strict=True)):
            if not self.errors[i]:
                groups.setdefault((mode, tuple(bounds)), []).append(i)
        size = np.maximum(self.values.counts, self.at_count)
        for settings, members in groups.items():
            rows = np.array(members)[np.argsort(size[members], kind="stable")]
            while len(rows):
                some = min(_ROWS, max(1, _NUMBERS // max(1, int(size[rows[-1]]))))  # from the longest down: as wide as its last
                yield settings, rows[-some:]
                rows = rows[:-some]

    def question(self, rows: Int[np.ndarray, "M"]) -> dict[str, Any]:
        """Arguments of a model for some rows: matrices for several, flat arrays for one, whose errors then name no curve."""
        one, values = len(rows) == 1, self.values.padded(rows)
        given = self.steps.counts[rows, None]
        steps = self.steps.padded(rows, int(given[0, 0]) if one and given.any() else values.shape[1])
        steps = np.where(given > 0, steps, np.arange(1.0, steps.shape[1] + 1))
        seen = np.where(np.isnan(values[:, : steps.shape[1]]), np.nan, steps[:, : values.shape[1]])
        last, horizon = np.fmax.reduce(seen, 1, keepdims=True, initial=np.nan), self.horizon[rows, None]
        count = np.maximum(self.at_count[rows, None], 1)
        k = np.arange(1, count.max() + 1)
        with np.errstate(over="ignore", invalid="ignore"):  # a horizon that is none is refused below
            at = np.where(k <= count, horizon - (horizon - last) * (1 - k / count), np.nan)
        found = {"values": values, "steps": steps, "horizon": self.horizon[rows], "at": at}
        return {name: x[0] for name, x in found.items()} if one else found


def _answered(model: Extrapolator, asked: _Asked, settings: Any, rows: Int[np.ndarray, "M"]) -> list[tuple[Any, Extrapolation]]:
    """Rows and their answers; what the model refuses is halved until the bad rows are found, before anything is computed of it."""
    (mode, bounds), alone = settings, len(rows) == 1
    steps, values = asked.steps.counts[rows], asked.values.counts[rows]
    odd = (steps > 0) & (steps != values)  # a matrix would hide it
    if alone or not odd.any():
        try:
            return [(rows, model(**asked.question(rows), mode=mode, bounds=bounds))]
        except (ValueError, TypeError) as error:
            if alone:
                asked.errors[rows[0]] = str(error)
                return []
    half = len(rows) // 2
    return [answer for part in (rows[:half], rows[half:]) for answer in _answered(model, asked, settings, part)]


class _Answers:
    """Numbers of every row, NaN until taken; those at the steps asked for one row after another, as in :class:`Lists`."""

    def __init__(self, scorer: BatchScorer, asked: _Asked) -> None:
        count, levels = len(asked.errors), 1 + len(scorer.quantiles)
        self.scorer, self.asked = scorer, asked
        self.levels = torch.tensor([0.5, *scorer.quantiles], dtype=torch.float64)
        self.mean, self.std, self.better = np.full((3, count), np.nan)
        self.final = np.full((count, levels), np.nan)
        self.owner, self.first = np.repeat(np.arange(count), asked.at_count), asked.at_count.cumsum() - asked.at_count
        self.at, self.ahead = np.full(len(self.owner), np.nan), np.full((len(self.owner), levels), np.nan)

    def take(self, rows: Int[np.ndarray, "M"], answer: Extrapolation) -> None:
        """Reads off an extrapolation of these rows."""
        at, law = answer.steps_ahead, answer.predictive
        real = ~at.isnan()
        points = law.at(real)
        ends = real.sum(1).cumsum(0) - 1
        final = points.at(ends)
        mean, variance = final.moments()
        self.mean[rows], self.std[rows] = mean.numpy(), variance.sqrt().numpy()
        if self.asked.has_best:
            below = final.cdf(torch.from_numpy(self.asked.best[rows])).numpy()
            self.better[rows] = 1 - below if answer.mode == "max" else below
        found = (points if self.asked.has_at else final).icdf(self.levels[:, None]).T
        self.final[rows] = found[ends].numpy() if self.asked.has_at else found.numpy()
        if self.asked.has_at:
            row, column = real.numpy().nonzero()
            wanted = column < self.asked.at_count[rows[row]]  # the horizon is predicted for rows that ask for no steps too
            place = (self.first[rows[row]] + column)[wanted]
            self.at[place], self.ahead[place] = at[real].numpy()[wanted], found.numpy()[wanted]

    def columns(self) -> dict[str, Any]:
        """The columns written; a row without numbers but without error gets one."""
        errors, levels = self.asked.errors, list(map(str, self.scorer.quantiles))
        finite = np.array(np.isfinite(np.stack([self.mean, self.std, *self.final.T], 1)).all(1))
        finite[self.owner[~np.isfinite(self.ahead).all(1)]] = False
        for i in np.flatnonzero(~finite):
            errors[i] = errors[i] or f"Expected a finite prediction; got mean {self.mean[i]} ± {self.std[i]}. Rescale the values."
        good = np.array([not error for error in errors], dtype=bool)
        for numbers in (self.mean, self.std, self.final, self.better):
            numbers[~good] = np.nan
        columns = {"mean": self.mean, "median": self.final[:, 0], "std": self.std, **dict(zip(levels, self.final[:, 1:].T, strict=True))}
        columns |= {"prob_better": self.better} if self.asked.has_best else {}
        if self.asked.has_at:
            wanted, counts = good[self.owner], np.where(good, self.asked.at_count, 0)
            lists = {"at": self.at, **{f"at_{level}": self.ahead[:, i] for i, level in enumerate(["median", *levels])}}
            columns |= {name: Lists(numbers[wanted], counts) for name, numbers in lists.items()}
        return {**columns, "error": errors}
