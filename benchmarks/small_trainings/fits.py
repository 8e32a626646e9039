"""Training losses that fall over decades: quadratics, test functions, factorisations, deep linear networks, logistic regression."""

# What scikit-learn's functions return depends on what they are given, which their types do not say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportOptionalOperand=false, reportAssignmentType=false

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from sklearn.datasets import load_breast_cancer
from torch import Tensor
from torch.nn import functional

from benchmarks.small_trainings.layers import Shapes
from benchmarks.small_trainings.optimizers import descend, recipe
from benchmarks.small_trainings.plans import Plan, grid
from benchmarks.small_trainings.studies import Study

FITS = ("quadratic", "factorisation", "deep-linear", "rosenbrock", "logistic", "rastrigin", "completion")
Fit = tuple[Callable[[Tensor], Float[Tensor, "R"]], Callable[[int], Float[Tensor, "R P"]], float]  # loss, start by seed, scale of the rate


def fits(rng: np.random.Generator, index: int, runs: int) -> Study:
    """A study of one of ``FITS``: the loss without noise, of gradients with noise in two thirds of the studies."""
    plan, name = Plan(rng, runs), FITS[index % len(FITS)]
    loss, start, scale = {
        "quadratic": quadratic,
        "rosenbrock": rosenbrock,
        "rastrigin": rastrigin,
        "factorisation": factorisation,
        "completion": factorisation,
        "deep-linear": deep_linear,
        "logistic": logistic,
    }[name](plan, name)
    noise = torch.tensor(plan.log(1e-4, 1.0) * (rng.random() < 0.65)).float()
    last = int(np.exp(rng.uniform(np.log(100), np.log(2500))))
    draw, seed = torch.Generator().manual_seed(int(rng.integers(2**31))), int(rng.integers(2**31))
    weights = start(seed)

    def noisy(weights: Tensor, step: int) -> Tensor:
        shaken = torch.randn(weights.shape, generator=draw) * noise[:, None]
        return loss(weights) + (shaken * weights).sum(1) * scale

    when = grid(rng, last)
    told = descend(noisy, weights, recipe(plan, last, scale), when.steps, lambda w, _: [loss(w)])[0]
    return Study(f"{index}-{name}-{plan.kind}", when.told, told)


def quadratic(plan: Plan, _: str) -> Fit:
    """Half the squares weighted by eigenvalues that fall as a power: slow directions remain when the fast ones are done."""
    size = int(plan.rng.integers(5, 100))
    curvature = torch.arange(1.0, size + 1) ** -plan.rng.uniform(0.3, 3)
    floor = float(plan.rng.choice([0.0, 1e-3, 0.1]))
    return lambda w: 0.5 * (curvature * w.square()).sum(1) + floor, lambda seed: Shapes([(1, size)]).start(np.ones(plan.runs), seed), 1.0


def rosenbrock(plan: Plan, _: str) -> Fit:
    """The curved valley, in several dimensions."""
    size, steep = int(plan.rng.integers(2, 12)), float(plan.rng.choice([5.0, 20.0, 100.0]))

    def loss(w: Tensor) -> Tensor:
        return (steep * (w[:, 1:] - w[:, :-1].square()).square() + (1 - w[:, :-1]).square()).sum(1)

    return loss, lambda seed: Shapes([(1, size)]).start(np.full(plan.runs, 0.7), seed), 0.3 / steep


def rastrigin(plan: Plan, _: str) -> Fit:
    """A bowl with many local minima."""
    size, depth = int(plan.rng.integers(2, 20)), plan.rng.uniform(0.2, 3)
    return (
        lambda w: (w.square() + depth * (1 - torch.cos(3 * w))).mean(1),
        lambda seed: Shapes([(1, size)]).start(np.full(plan.runs, 3.0), seed),
        size / 3,
    )


def factorisation(plan: Plan, name: str) -> Fit:
    """A low-rank matrix from two factors; "completion" sees some entries and is measured on the others."""
    rng = plan.rng
    rows, columns, rank = int(rng.integers(8, 40)), int(rng.integers(8, 40)), int(rng.integers(1, 8))
    spectrum = np.arange(1, rank + 1) ** -rng.uniform(0, 2)
    target = (rng.normal(size=(rows, rank)) * spectrum) @ rng.normal(size=(rank, columns)) + rng.choice([0, 0.01, 0.2]) * rng.normal(
        size=(rows, columns)
    )
    goal = torch.from_numpy((target / target.std()).astype(np.float32))
    inner = rank + int(rng.integers(0, 6))
    shapes = Shapes([(rows, inner), (inner, columns)])
    seen = (
        torch.from_numpy((rng.random((rows, columns)) < rng.uniform(0.3, 0.8)).astype(np.float32))
        if name == "completion"
        else torch.ones(rows, columns)
    )
    gains = plan.log(0.02, 2.0)

    def loss(w: Tensor) -> Tensor:
        left, right = shapes.cut(w)
        mask = seen if w.requires_grad or name != "completion" else 1 - seen
        return ((left @ right - goal).square() * mask).sum((1, 2)) / mask.sum()

    return loss, lambda seed: shapes.start(gains, seed), 8.0


def deep_linear(plan: Plan, _: str) -> Fit:
    """A product of matrices: from a small start it learns one direction after another, in steps with plateaus between."""
    rng = plan.rng
    size, depth = int(rng.integers(4, 16)), int(rng.integers(2, 5))
    spectrum = np.geomspace(1, rng.uniform(0.02, 0.5), size) * (np.arange(size) < rng.integers(2, size + 1))
    rotation = np.linalg.qr(rng.normal(size=(size, size)))[0]
    goal = torch.from_numpy((rotation * spectrum * 3).astype(np.float32))
    shapes, gains = Shapes([(size, size)] * depth), plan.log(0.3, 1.2)

    def loss(w: Tensor) -> Tensor:
        first, *rest = shapes.cut(w)
        for matrix in rest:
            first = first @ matrix
        return (first - goal).square().mean((1, 2))

    return loss, lambda seed: shapes.start(gains, seed), float(size)


def logistic(plan: Plan, _: str) -> Fit:
    """Logistic regression of the breast cancer data on all examples, penalised or not."""
    x, y = load_breast_cancer(return_X_y=True)
    few = plan.rng.permutation(len(x))[: int(plan.rng.integers(40, len(x)))]
    raw = plan.rng.random() < 0.3
    x = x[few] / x[few].std() if raw else (x[few] - x[few].mean(0)) / (x[few].std(0) + 1e-9)
    inputs, signs = torch.from_numpy(x.astype(np.float32)), torch.from_numpy((2.0 * y[few] - 1).astype(np.float32))[:, None]
    penalty = torch.tensor(plan.pick([0.0, 1e-4, 1e-2], [0.6, 0.2, 0.2])).float()

    def loss(w: Tensor) -> Tensor:
        return functional.softplus(-signs * (inputs @ w.T)).mean(0) + penalty * w.square().sum(1)

    return loss, lambda seed: Shapes([(1, x.shape[1])]).start(np.full(plan.runs, 0.3), seed), 3.0
