"""Multilayer perceptrons on data: validation loss and accuracy of classifiers, losses of regression and of autoencoders."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.small_trainings.layers import forward, stack
from benchmarks.small_trainings.optimizers import descend, recipe
from benchmarks.small_trainings.plans import Plan, grid
from benchmarks.small_trainings.studies import Study
from benchmarks.small_trainings.tasks import CLASSES, NUMBERS, classes, numbers

MOST_WORK = 3e10  # multiplications of a study's training, forward; longer ones are shortened


def classifiers(rng: np.random.Generator, index: int, runs: int) -> dict[str, Study]:
    """A study of classifiers: loss and accuracy on the validation part."""
    plan, task = Plan(rng, runs), classes(CLASSES[index % len(CLASSES)], rng)
    many = int(max(task.y.max(), task.valid_y.max())) + 1
    noise = plan.pick([0.0, 0.1, 0.3], [0.6, 0.2, 0.2])
    wrong = rng.random(len(task.y)) < noise[:, None]
    labels = torch.from_numpy(np.where(wrong, rng.integers(0, many, len(task.y)), task.y))
    valid = torch.from_numpy(task.valid_y)

    def losses(outputs: Tensor, rows: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.transpose(1, 2), labels.gather(1, rows), reduction="none")

    def measured(outputs: Tensor) -> list[Tensor]:
        target = valid.expand(runs, -1)
        loss = functional.cross_entropy(outputs.transpose(1, 2), target, reduction="none").mean(1)
        return [loss, torch.where(loss.isfinite(), (outputs.argmax(2) == target).float().mean(1), torch.nan)]

    told, (loss, accuracy, _) = _trained(plan, task.x, task.valid_x, many, losses, measured)
    name = f"{index}-{task.name}-{plan.kind}"
    return {"small_nets_valid_loss": Study(name, told, loss), "small_nets_valid_accuracy": Study(name, told, accuracy)}


def regressions(rng: np.random.Generator, index: int, runs: int) -> Study:
    """A study of regression or of autoencoding: mean squared error, on the validation part or, averaged as logs do, in training."""
    plan = Plan(rng, runs)
    if index % 3 == 0:
        task = classes(str(rng.choice(["digits", "cancer", "wine", "noisy-digits"])), rng)
        target, valid, name = torch.from_numpy(task.x), torch.from_numpy(task.valid_x), f"autoencoder-{task.name}"
    else:
        task = numbers(NUMBERS[index % len(NUMBERS)], rng)
        target, valid = (torch.from_numpy(y.astype(np.float32))[:, None] for y in (task.y, task.valid_y))
        name = f"regression-{task.name}"

    def losses(outputs: Tensor, rows: Tensor) -> Tensor:
        return (outputs - target[rows]).square().mean(2)

    def measured(outputs: Tensor) -> list[Tensor]:
        return [(outputs - valid).square().mean((1, 2))]

    middle = int(rng.integers(2, 12)) if index % 3 == 0 else None
    told, (error, trained) = _trained(plan, task.x, task.valid_x, target.shape[1], losses, measured, middle)
    return Study(f"{name}-{plan.kind}", told, trained if rng.random() < 0.35 else error)


def _trained(plan: Plan, x: np.ndarray, valid_x: np.ndarray, outputs: int, losses, measured, middle: int | None = None):
    """Draws the networks and trains them; the steps as told, and what was measured and the training loss, each (R, P)."""
    rng, runs = plan.rng, plan.runs
    widths = plan.pick([4, 8, 16, 32, 64], [0.1, 0.2, 0.3, 0.25, 0.15])
    hidden = int(rng.choice([0, 1, 2, 3], p=[0.1, 0.45, 0.3, 0.15])) if middle is None else 1
    widest, ends = int(widths.max()), [] if middle is None else [middle]
    shapes = stack(x.shape[1], [widest] * hidden + ends + [widest] * (hidden if ends else 0), outputs)
    alive = (
        torch.from_numpy((np.arange(widest) < widths[:, None]).astype(np.float32))[:, None] if widths.min() < widest and not ends else None
    )
    activation = str(rng.choice(["relu", "tanh", "gelu", "sigmoid"], p=[0.45, 0.25, 0.2, 0.1]))
    sizes = np.minimum(plan.pick([4, 8, 16, 32, 64], [0.15, 0.2, 0.25, 0.25, 0.15]), len(x))
    full = len(x) <= 128 and rng.random() < 0.4
    batch = len(x) if full else int(sizes.max())
    examples = np.maximum(8, (len(x) * plan.pick([0.1, 0.3, 1.0], [0.1, 0.1, 0.8])).astype(int))
    last = int(np.exp(rng.uniform(np.log(200), np.log(3000))))
    last = max(60, min(last, int(MOST_WORK / (runs * batch * sum(shapes.sizes)))))
    when, how = grid(rng, last), recipe(plan, last)
    train, held = torch.from_numpy(x), torch.from_numpy(valid_x).expand(runs, -1, -1)
    draw = torch.Generator().manual_seed(int(rng.integers(2**31)))
    counted = torch.from_numpy((np.arange(batch) < sizes[:, None]).astype(np.float32)) if not full else torch.ones(runs, batch)
    counted, limit = counted / counted.sum(1, keepdim=True), torch.from_numpy(examples)[:, None]
    whole = torch.arange(batch).expand(runs, -1)

    def loss(weights: Tensor, step: int) -> Tensor:
        rows = whole if full else (torch.rand(runs, batch, generator=draw) * limit).long()
        return (losses(forward(shapes.cut(weights), train[rows], activation, alive), rows) * counted).sum(1)

    def record(weights: Tensor, trained: Tensor) -> list[Tensor]:
        return [*measured(forward(shapes.cut(weights), held, activation, alive)), trained]

    start = shapes.start(plan.log(0.1, 3.0), int(rng.integers(2**31)))
    return when.told, descend(loss, start, how, when.steps, record)
