"""Answers of models and rivals to the targets of a source at a cut-off, one object for all."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

import lcx
from benchmarks.curves import RealCurve
from benchmarks.scores import ask_model, question
from benchmarks.studies.questions import Run, Target
from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive


class Law(NamedTuple):
    """A rival's answer at A later steps: mixtures of K normals, (A, K) each, weights up to a factor."""

    weight: np.ndarray
    loc: np.ndarray
    scale: np.ndarray


Rival = Callable[[RealCurve, int, list[Run]], Law]  # the target, its number of context points, the others


def ask_with_others(model: lcx.Extrapolator, targets: list[Target], share: float, setting: str) -> Extrapolation:
    """A model's answers; each target has others of its own, so it is a call a target, but one for all without others."""
    curves = [target.curve for target in targets]
    if setting == "0":
        return ask_model(model, curves, share, None)
    answers = []
    for target in targets:
        told = target.others(setting)
        asked = question([target.curve], share)
        answers.append(model(**asked, others=told))
    return joined(answers)


def ask_rival(rival: Rival, targets: list[Target], share: float, setting: str) -> Extrapolation:
    """A rival's answers as the same kind of object; locations are clipped into the bounds."""
    answers = []
    for target in targets:
        curve, cut = target.curve, target.curve.cut(share)
        lower, upper = (np.inf * side if bound is None else bound for side, bound in zip((-1, 1), curve.bounds, strict=True))
        law = rival(curve, cut, target.others(setting))
        scale = np.maximum(law.scale, 1e-9 * curve.width)
        logits = np.log(np.maximum(law.weight, 1e-300))
        loc = np.clip(law.loc, lower, upper)
        logits, loc, scale = (torch.from_numpy(np.array(np.broadcast_to(x, loc.shape)))[None] for x in (logits, loc, scale))
        at = torch.from_numpy(curve.steps[cut:])[None]
        values, steps, horizon = (torch.from_numpy(np.array(x))[None] for x in (curve.values[:cut], curve.steps[:cut], curve.steps[-1]))
        observed = lcx.Curves(values, steps, horizon)
        answers.append(Extrapolation(at, Predictive(logits, loc, scale), curve.mode, False, observed, None, list))
    return joined(answers)


def joined(answers: list[Extrapolation]) -> Extrapolation:
    """Answers for one curve each as one for all, padded; of the curves observed it keeps the first.

    Raises:
        ValueError: a law has a warp, which laws of several curves do not share.
    """
    laws = [answer.predictive for answer in answers]
    if any(law.warp is not None for law in laws):
        raise ValueError("expected laws without a warp, got one with; ask for all curves in one call")
    shape = (len(laws), max(law.loc.shape[1] for law in laws), max(law.loc.shape[2] for law in laws))
    logits, loc, scale = (torch.full(shape, fill, dtype=torch.float64) for fill in (-1e9, 0.0, 1.0))
    at = torch.full(shape[:2], torch.nan, dtype=torch.float64)
    for i, (answer, law) in enumerate(zip(answers, laws, strict=True)):
        rows, parts = law.loc.shape[1], law.loc.shape[2]
        at[i, :rows] = answer.steps_ahead[0]
        logits[i, :rows, :parts] = law.logits[0]
        for x, known in ((loc, law.loc[0]), (scale, law.scale[0])):
            x[i, :rows] = known[:, :1]  # in place of a component that is not there, one without weight where the first is
            x[i, :rows, :parts] = known
    first = answers[0]
    law = Predictive(logits, loc, scale, laws[0].lower, laws[0].upper)
    return Extrapolation(at, law, first.mode, False, first.curves, None, list)
