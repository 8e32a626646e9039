"""What ``lcx pretrain`` does with logs of one's own runs beside training: what is held out, and which model is kept."""

from pathlib import Path
from typing import Any

from lcx.extrapolator import Extrapolator
from lcx.pfn.checkpoint import refuse_if_taken
from lcx.pfn.model import PFN
from lcx.pretraining.held_out import CUTOFFS, OTHERS, HeldOut, Scores
from lcx.pretraining.logs import convert_logs


class OwnRuns:
    """The runs of a log, converted and split, and the scores on those held out before and after training."""

    def __init__(self, path: Path, folder: Path, question: dict[str, Any], start: Extrapolator | None, resume: bool) -> None:
        if not resume:
            refuse_if_taken(folder)
            for note in convert_logs(path, folder, **question):
                print(note)
        self.held_out = HeldOut(folder)
        print("\n".join(self.held_out.told()), flush=True)
        self.before = self.held_out.scores(start, "before") if start else None
        self.after: Scores | None = None

    def judge(self, model: PFN) -> dict[str, Any] | None:
        """Scores of the trained network for its ``config.json``; None if those held out are forecast no better than before."""
        self.after = self.held_out.scores(Extrapolator(model, {}), "after")
        before = {} if self.before is None else {"before": self.before.facts()}
        return {"held_out": {"runs": len(self.held_out.targets), **before, "after": self.after.facts()}} if self._better() else None

    def _better(self) -> bool:
        return self.before is None or (self.after is not None and bool(self.after.crps.mean() < self.before.crps.mean()))

    def outcome(self, start: str | None, folder: Path) -> list[str]:
        """Lines to print: before and after for each question, and which model is to be used."""
        after, before = self.after, self.before
        if after is None:
            return []
        both = [after] if before is None else [before, after]
        titles = "".join(f"{title:>8}" for title in ("before", "after")[-len(both) :])
        lines = [
            f"On the {len(self.held_out.targets)} runs held out: CRPS / range (lower is better) and share inside the 90 % interval",
            f"seen  others  {titles}   {titles}",
        ]
        for i, cutoff in enumerate(CUTOFFS):
            for j, others in enumerate(OTHERS):
                crps = "".join(f"{x.crps[:, i, j].mean():8.4f}" for x in both)
                inside = "".join(f"{100 * x.inside[:, i, j].mean():6.0f} %" for x in both)
                lines.append(f"{cutoff:>2} %  {others:>6}  {crps}   {inside}")
        if before is None:
            return [*lines, f"The model is in {folder}."]
        gains = 100 * (before.crps - after.crps).mean((1, 2)) / before.crps.mean()
        change = f"{abs(gains.mean()):.1f} % (standard error {gains.std() / max(1, len(gains) - 1) ** 0.5:.1f})"
        if self._better():
            return [*lines, f"CRPS fell by {change}: the new model is in {folder}."]
        return [
            *lines,
            f"CRPS rose by {change}: not better, so no model was written. Go on using {start}.",
            "More runs, or more minutes with --resume, may help.",
        ]
