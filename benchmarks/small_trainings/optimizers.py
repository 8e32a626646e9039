"""Gradient descent of many runs side by side, each with its own optimizer, learning rate and schedule."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.small_trainings.plans import Plan

# Decay of the first moment, weight of the gradient in it, decay of the second moment (0: none), and a usual learning rate.
OPTIMIZERS = {
    "sgd": (0.0, 1.0, 0.0, 0.1),
    "momentum": (0.9, 1.0, 0.0, 0.02),
    "adam": (0.9, 0.1, 0.999, 4e-3),
    "rmsprop": (0.0, 1.0, 0.99, 2e-3),
}
SCHEDULES = ("constant", "cosine", "linear", "halving", "drops", "warmup-stable-decay", "restarts", "inverse-root", "one-cycle")


@dataclass(frozen=True)
class Recipe:
    """How each of R runs is optimised for T steps."""

    rates: Float[Tensor, "T R"]  # learning rates, schedule included
    beta1: Float[Tensor, "R 1"]
    fresh: Float[Tensor, "R 1"]  # weight of the gradient in the first moment
    beta2: Float[Tensor, "R 1"]  # 0 where there is no second moment
    decay: Float[Tensor, "R 1"]  # decoupled weight decay, per unit of learning rate
    clip: Float[Tensor, "R 1"]  # largest norm of the gradient, infinite for none


def schedule(name: str, steps: int, warmup: int, rng: np.random.Generator) -> Float[np.ndarray, "T"]:
    """Multipliers of the learning rate, at most 1, over a training of ``steps``.

    Raises:
        ValueError: no such schedule.
    """
    t = np.arange(steps)
    s = t / max(1, steps)
    if name == "constant":
        out = np.ones(steps)
    elif name == "cosine":
        out = 0.5 * (1 + np.cos(np.pi * s))
    elif name == "linear":
        out = 1 - s
    elif name == "halving":
        out = 0.5 ** np.floor(s * rng.integers(3, 9))
    elif name == "drops":
        out = rng.choice([0.1, 0.2, 0.3]) ** np.searchsorted(np.sort(rng.uniform(0.2, 0.95, rng.integers(1, 4))), s)
    elif name == "warmup-stable-decay":
        out = np.minimum(1, (1 - s) / rng.uniform(0.08, 0.4))
    elif name == "restarts":
        out = 0.5 * (1 + np.cos(np.pi * (s * rng.integers(2, 6) % 1)))
    elif name == "inverse-root":
        out = 1 / np.sqrt(1 + t / max(1, steps * rng.uniform(0.01, 0.2)))
    elif name == "one-cycle":
        out = np.interp(s, [0, rng.uniform(0.2, 0.45), 1], [0.05, 1, 0.0])
    else:
        raise ValueError(f"expected one of {', '.join(SCHEDULES)}, got {name!r}; choose one")
    return out * np.minimum(1, (t + 1) / warmup) if warmup else out


def recipe(plan: Plan, steps: int, scale: float = 1.0) -> Recipe:
    """Draws the optimisation of a study's runs.

    Args:
        plan: what varies.
        steps: of the longest run.
        scale: of the usual learning rate where steps follow the size of the gradient.
    """
    rng = plan.rng
    names = plan.pick(list(OPTIMIZERS), [0.25, 0.25, 0.35, 0.15])
    usual = np.array([OPTIMIZERS[name] for name in names])
    rates = np.where(usual[:, 2] > 0, 1.0, scale) * usual[:, 3] * plan.rate(0.008, 30)
    shapes, warmups = (
        plan.pick(SCHEDULES, [0.26, 0.18, 0.1, 0.06, 0.12, 0.1, 0.06, 0.06, 0.06]),
        plan.pick([0.0, 0.03, 0.1], [0.5, 0.25, 0.25]),
    )
    seed = int(rng.integers(2**31))  # the same drops for every run of a study that shares its schedule
    lines = [
        rate * schedule(str(s), steps, int(w * steps), np.random.default_rng(seed))
        for rate, s, w in zip(rates, shapes, warmups, strict=True)
    ]
    decay = plan.pick([0.0, 1e-3, 1e-2, 0.1, 1.0], [0.5, 0.1, 0.15, 0.15, 0.1])
    clip = plan.pick([np.inf, 1.0, 0.1], [0.7, 0.2, 0.1])
    columns = (torch.tensor(np.asarray(x, dtype=float)[:, None]).float() for x in (*usual[:, :3].T, decay, clip))
    return Recipe(torch.tensor(np.array(lines).T).float(), *columns)


def descend(
    loss: Callable[[Tensor, int], Float[Tensor, "R"]],
    weights: Float[Tensor, "R P"],
    how: Recipe,
    steps: np.ndarray,
    record: Callable[[Tensor, Float[Tensor, "R"]], list[Tensor]],
) -> list[Float[np.ndarray, "R S"]]:
    """Trains and evaluates.

    Args:
        loss: of the weights at a step, one for each run, from that run's weights alone.
        weights: at the start; edited in place.
        how: the optimisation.
        steps: (S,) when to evaluate, rising; 0 is before training.
        record: from the weights and the mean training loss of each run since the last evaluation to what is kept, each (R,).

    Returns:
        What was recorded, NaN once a run's weights are not finite.
    """
    first, second, kept = torch.zeros_like(weights), torch.zeros_like(weights), []
    adaptive, sums, count, nexts = how.beta2 > 0, torch.zeros(len(weights)), 0, iter([*steps.tolist(), -1])
    due = next(nexts)
    for step in range(int(steps[-1]) + 1):
        weights.requires_grad_(True)
        losses = loss(weights, step)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        weights.requires_grad_(False)
        sums, count = (losses.detach(), 1) if step == 0 else (sums + losses.detach(), count + 1)
        if step == due:  # the training loss at this step is that of its batch before the update
            with torch.no_grad():
                kept.append([x.numpy().astype(float) for x in record(weights, sums / count)])
            sums, count, due = torch.zeros(len(weights)), 0, next(nexts)
        gradient *= (how.clip / gradient.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
        first = how.beta1 * first + how.fresh * gradient
        second = how.beta2 * second + (1 - how.beta2) * gradient.square()
        fading = 1 - how.beta1 ** (step + 1), 1 - how.beta2 ** (step + 1)
        scaled = first / torch.where(how.fresh < 1, fading[0], 1.0) / ((second / fading[1]).sqrt() + 1e-8)
        rate = how.rates[min(step, len(how.rates) - 1)][:, None]
        weights -= rate * (torch.where(adaptive, scaled, first) + how.decay * weights)
    return [np.stack(column, axis=1) for column in zip(*kept, strict=True)]
