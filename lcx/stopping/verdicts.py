"""What a stopper says of a report before its rule is asked, and what becomes of the rule's verdict."""

import math
import re
from dataclasses import replace

from lcx.stopping.intake import Reports
from lcx.stopping.notices import Notices
from lcx.stopping.rules import Verdict, unasked


def before_rule(
    known: Reports, odd: str | None, *, step: float, value: float, horizon: float, min_points: int, most_lost: int | None, notices: Notices
) -> Verdict | None:
    """The verdict on a run that has just taken a report, if it needs no prediction; else None.

    Args:
        known: the run.
        odd: what :meth:`Reports.add` said of the report.
        step: of the report, user's unit, which need not be the last of the run.
        value: of the report; NaN if missing.
        horizon: of runs without one of their own.
        min_points: values needed before the first decision.
        most_lost: values in a row that are not finite after which a run is stopped; None: never.
        notices: where a report beyond the horizon is warned of, once.
    """
    last = known.horizon or horizon
    if odd is None and step == last:
        return unasked(f"the horizon {last:g} is reached")
    if step > last:
        odd = f"step {step:g} lies beyond the horizon {last:g}"
        notices.warn("beyond", "%s, where nothing is stopped; give the horizon in the unit of the steps", odd)
        return unasked(f"{odd}; raise the horizon if the run goes on")
    if most_lost is not None and math.isnan(value) and known.lost >= most_lost:
        return Verdict(step < last, math.nan, f"{odd}; the limit is {most_lost}")
    if odd is None and len(known.read) < min_points:
        odd = f"{len(known.read)} value(s) so far, {min_points} needed"
    return None if odd is None else unasked(odd)


def after_rule(known: Reports, verdict: Verdict, target: float, *, confirm: int, control: bool) -> Verdict:
    """The verdict of a rule on a run, after what does not depend on the rule.

    Args:
        known: the run; its decisions in a row are counted.
        verdict: the rule's.
        target: the value to beat; infinite if there is none.
        confirm: number of decisions to stop needed in a row.
        control: whether the run is one of those that are never stopped.
    """
    if math.isinf(target) and not verdict.stop and re.search(r"\b(than|over) -?inf\b", verdict.reason):
        verdict = replace(verdict, reason="there is no other run to beat yet")  # a rule with a target of its own speaks of that
    if control:
        return replace(verdict, stop=False, reason=f"one of the runs that no rule stops; but for that: {verdict.reason}")
    known.at_risk |= math.isfinite(target)
    known.agreed = known.agreed + int(verdict.stop) if verdict.stop or math.isnan(verdict.probability) else 0
    if verdict.stop and known.agreed < confirm:
        return replace(verdict, stop=False, reason=f"{verdict.reason}; decision {known.agreed} of {confirm} needed in a row")
    return verdict
