"""What a model is worth on runs that it was not trained on: before and after a training on the rest of them.

Each run is cut at 10, 20, 40 and 80 % of its points, at least two, and its later points are forecast, alone and beside 10 finished runs of
its study.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm.auto import tqdm

from lcx.extrapolator import Extrapolator
from lcx.pretraining.logs import HELD_OUT, NAME, TRAINED
from lcx.pretraining.sources import Run, Source, load_source
from lcx.scores import covered

CUTOFFS, OTHERS, LEVEL = (10, 20, 40, 80), (0, 10), 0.9  # per cent of a run's points; runs that are read; of the interval
_MOST = 100  # runs that are scored
_CAP = 5.0  # most that one run counts, ranges


@dataclass(frozen=True)
class Scores:
    """Per run, cut-off and number of others.

    Attributes:
        crps: mean CRPS of the later points over the run's range (2-98 % of its values), at most 5; lower is better.
        inside: share of the later points inside the central 90 % interval.
    """

    crps: Float[np.ndarray, "R C K"]
    inside: Float[np.ndarray, "R C K"]

    def facts(self) -> dict[str, Any]:
        """Means over runs, fit for JSON."""
        names = [(f"{cutoff} %, {others} others", (i, j)) for i, cutoff in enumerate(CUTOFFS) for j, others in enumerate(OTHERS)]
        crps, inside = self.crps.mean(0), self.inside.mean(0)
        return {name: {"crps_over_range": float(crps[at]), "inside_90": float(inside[at])} for name, at in names}


class HeldOut:
    """Runs that were held out, each with the rest of its study, read from the folder of a training run on logs.

    Attributes:
        trained, held: what is trained on, and what is not.
        targets: study and number of each run to score: all that change, or 100 of them at random.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trained, self.held = (load_source(folder / name / f"{NAME}.npz") for name in (TRAINED, HELD_OUT))
        every = [(i, k) for i, study in enumerate(self.held.studies) for k, run in enumerate(study) if _range(run) > 0]
        if not every:
            raise ValueError(f"expected runs whose values change among those held out in {folder}, got none; train on other logs")
        self.targets = [every[i] for i in sorted(np.random.default_rng(0).permutation(len(every))[:_MOST])]

    def told(self) -> list[str]:
        """What is trained on and what is held out, in words."""
        metric = json.loads((self.folder / HELD_OUT / f"{NAME}.json").read_text())["metric"]
        runs, held = (sum(map(len, source.studies)) for source in (self.trained, self.held))
        studies = len(self.trained.studies)
        whole = not set(self.held.names) & set(self.trained.names)
        which = ", ".join(self.held.names[:5]) + (", ..." if len(self.held.names) > 5 else "") if whole else "some of each study"
        which = "of the same study" if not whole and studies == 1 else which
        lines = [f"{metric}: {runs} runs in {studies} {'study' if studies == 1 else 'studies'} to train on; {held} runs held out ({which})"]
        if len(self.targets) < held:
            lines.append(f"{len(self.targets)} of those held out are scored")
        return lines

    def scores(self, model: Extrapolator, what: str = "", progress: bool = True) -> Scores:
        """Scores of a model; one without a reader forecasts beside others as it does alone. The same others at every call."""
        rng, rows = np.random.default_rng(1), []
        for study, number in tqdm(self.targets, desc=f"forecasting held-out runs {what}".rstrip(), unit="run", disable=not progress):
            run, rest = self.held.studies[study][number], self._rest(study, number)
            chosen = [rest[i] for i in rng.permutation(len(rest))[: max(OTHERS)]]
            asked = [[], chosen] if model.model.reader is not None and chosen else [[]] * len(OTHERS)
            rows.append([_score(model, self.held, run, others) for others in asked])
        crps, inside = np.moveaxis(np.array(rows), (2, 3), (0, 2))  # (R, K, 2, C) to (2, R, C, K)
        return Scores(crps, inside)

    def _rest(self, study: int, number: int) -> list[Run]:
        """The other runs of a run's study, those trained on among them if some of that study are."""
        same = [run for k, run in enumerate(self.held.studies[study]) if k != number]
        of = dict(zip(self.trained.names, self.trained.studies, strict=True))
        return same + of.get(self.held.names[study], [])


def _range(run: Run) -> float:
    low, high = np.quantile(run.values, [0.02, 0.98])
    return float(high - low)


def _score(model: Extrapolator, source: Source, run: Run, others: list[Run]) -> tuple[np.ndarray, np.ndarray]:
    """CRPS over range and share inside, each (C,)."""
    cuts = np.array([max(2, round(cutoff * len(run.values) / 100)) for cutoff in CUTOFFS])
    cutoffs, place = np.unique(cuts, return_inverse=True)
    answer = model.backtest(
        run.values,
        run.steps,
        cutoffs=cutoffs,
        at=run.steps[cutoffs[0] :],
        horizon=run.steps[-1],
        mode="max" if source.sign > 0 else "min",
        bounds=tuple(end if np.isfinite(end) else None for end in source.bounds),
        others=others,
    )
    later = run.values[cutoffs[0] :]
    crps = np.minimum(np.nanmean(answer.crps(later), 1) / _range(run), _CAP)
    below = torch.from_numpy(answer.cdf(later))
    inside = np.nanmean(np.where(below.isnan().numpy(), np.nan, covered(below, LEVEL).numpy()), 1)
    return crps[place], inside[place]
