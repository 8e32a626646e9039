"""Several objectives: which trials of a Pareto front a trial is unlikely to beat in any of them. Loads no framework."""

from typing import Any

from lcx.extrapolation import Extrapolation
from lcx.stopping.rules import Rule, Verdict, unasked
from lcx.stopping.stopper import EarlyStopper


class Looks:
    """A rule that never stops a run: it keeps the verdicts against each of several values to beat."""

    def __init__(self, name: str, bests: list[float], rule: Rule) -> None:
        self.verdicts: list[list[Verdict]] = []
        self._name, self._bests, self._rule = name, bests, rule

    def __call__(self, extrapolation: Extrapolation, best: float) -> Verdict:
        """Keeps the verdicts of one look."""
        self.verdicts.append([self._rule(extrapolation, own) for own in self._bests])
        return unasked("kept")

    def agree(self, k: int, confirm: int) -> bool:
        """Whether there were this many looks, and all of them say stop against the k-th value."""
        return len(self.verdicts) == confirm and all(verdicts[k].stop for verdicts in self.verdicts)

    def told(self, k: int) -> str:
        """Why the last look said what it said against the k-th value."""
        return f"{self._name}: {self.verdicts[-1][k].reason}"


def beaten_by(ended: list[Any], looks: list[Looks], stoppers: list[EarlyStopper]) -> list[str]:
    """A sentence for each trial that is unlikely to be beaten in any objective."""
    return [
        f"trial {other.number} is unlikely to be beaten in any objective; {'; '.join(look.told(k) for look in looks)}"
        for k, other in enumerate(ended)
        if all(look.agree(k, stopper.confirm) for look, stopper in zip(looks, stoppers, strict=True))
    ]
