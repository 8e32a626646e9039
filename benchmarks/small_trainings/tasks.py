"""Data sets: those that scikit-learn ships, those it generates, and some with a history in the study of training."""

# What scikit-learn's functions return depends on what they are given, which their types do not say.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportOptionalOperand=false, reportAssignmentType=false

from typing import NamedTuple

import numpy as np
import sklearn.datasets as sets
from jaxtyping import Float

SHIPPED = {"digits": sets.load_digits, "wine": sets.load_wine, "cancer": sets.load_breast_cancer, "iris": sets.load_iris}
CLASSES = (*SHIPPED, "made", "moons", "circles", "parity", "addition", "teacher", "blobs", "odd-digits", "spirals", "noisy-digits")
NUMBERS = ("diabetes", "friedman1", "friedman2", "friedman3", "waves", "teacher", "linear", "bumps")


class Task(NamedTuple):
    """Training and validation part of a data set."""

    name: str
    x: Float[np.ndarray, "N D"]
    y: np.ndarray  # (N,) classes from 0, or numbers
    valid_x: Float[np.ndarray, "V D"]
    valid_y: np.ndarray


def classes(name: str, rng: np.random.Generator, most: int = 1200) -> Task:
    """A classification task of random size and difficulty.

    Args:
        name: one of ``CLASSES``.
        rng: source of every choice.
        most: training examples.
    """
    x, y = _classes(name, rng)
    if name != "addition":
        x = x / x.std() if rng.random() < 0.1 else (x - x.mean(0)) / (x.std(0) + 1e-6)
    return _split(name, x, y.astype(int), rng, most)


def numbers(name: str, rng: np.random.Generator, most: int = 800) -> Task:
    """A regression task, one of ``NUMBERS``; targets with mean 0 and sd 1."""
    n, seed, noise = int(rng.integers(150, 1400)), int(rng.integers(2**31)), float(rng.choice([0.0, 0.05, 0.3, 1.0]))
    if name == "diabetes":
        x, y = sets.load_diabetes(return_X_y=True)
    elif name.startswith("friedman"):
        x, y = getattr(sets, f"make_{name}")(n, noise=noise * (2 if name == "friedman1" else 0.1), random_state=seed)
    elif name == "linear":
        x, y = sets.make_regression(n, int(rng.integers(5, 60)), effective_rank=int(rng.integers(2, 20)), noise=noise, random_state=seed)
    else:
        x = rng.uniform(-1, 1, (n, 1 if name == "waves" else int(rng.integers(2, 12))))
        if name == "waves":
            y = np.sin(x[:, 0] * rng.uniform(2, 25)) + rng.uniform(0, 1) * np.sin(x[:, 0] * rng.uniform(2, 60))
        elif name == "teacher":
            y = np.tanh(2 * x @ rng.normal(size=(x.shape[1], 6))) @ rng.normal(size=6)
        else:
            y = np.exp(-((x[:, None] - rng.uniform(-1, 1, (8, x.shape[1]))) ** 2).sum(-1) * 4) @ rng.normal(size=8)
        y = y + 0.3 * noise * y.std() * rng.normal(size=n)
    return _split(name, (x - x.mean(0)) / (x.std(0) + 1e-9), (y - y.mean()) / y.std(), rng, most)


def _split(name: str, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, most: int) -> Task:
    order = rng.permutation(len(x))
    valid = int(min(400, len(x) * rng.uniform(0.15, 0.5)))
    few = name not in ("parity", "addition")  # which nothing learns from few examples
    train = order[valid:][: int(np.exp(rng.uniform(np.log(40), np.log(most)))) if few else most]
    return Task(name, x[train].astype(np.float32), y[train], x[order[:valid]].astype(np.float32), y[order[:valid]])


def _classes(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes of a task, all of them."""
    n, seed = int(rng.integers(200, 2000)), int(rng.integers(2**31))
    if name in SHIPPED:
        return SHIPPED[name](return_X_y=True)
    if name.endswith("digits"):
        x, y = sets.load_digits(return_X_y=True)
        return (x, y % 2) if name == "odd-digits" else (x + rng.uniform(5, 25) * rng.normal(size=x.shape), y)
    if name == "made":
        many = int(rng.integers(2, 9))
        shape = {
            "n_informative": 6,
            "n_redundant": int(rng.integers(0, 8)),
            "n_classes": many,
            "n_clusters_per_class": int(rng.integers(1, 4)),
        }
        return sets.make_classification(
            n, int(rng.integers(15, 60)), class_sep=rng.uniform(0.3, 2), flip_y=rng.choice([0, 0.05, 0.2]), random_state=seed, **shape
        )
    if name == "moons":
        return sets.make_moons(n, noise=rng.uniform(0.05, 0.4), random_state=seed)
    if name == "circles":
        return sets.make_circles(n, noise=rng.uniform(0.02, 0.2), factor=rng.uniform(0.4, 0.8), random_state=seed)
    if name == "blobs":
        return sets.make_blobs(
            n, int(rng.integers(2, 12)), centers=int(rng.integers(3, 12)), cluster_std=rng.uniform(1, 6), random_state=seed
        )
    if name == "spirals":
        radius, arm = rng.uniform(0.1, 1, n), rng.integers(0, 3, n)
        angle = 2.1 * arm + radius * rng.uniform(3, 9) + 0.1 * rng.normal(size=n)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), arm
    if name == "parity":
        bits = rng.integers(0, 2, (n, int(rng.integers(6, 20))))
        return 2.0 * bits - 1, bits[:, : rng.integers(2, 5)].sum(1) % 2
    if name == "addition":
        base = int(rng.integers(7, 24))
        a, b = (x.ravel() for x in np.meshgrid(np.arange(base), np.arange(base)))
        return np.concatenate([np.eye(base)[a], np.eye(base)[b]], 1) * base**0.5, (a + b) % base
    x = rng.normal(size=(n, int(rng.integers(4, 30))))
    scores = np.maximum(0, x @ rng.normal(size=(x.shape[1], 8))) @ rng.normal(size=(8, int(rng.integers(2, 8))))
    return x, (scores - scores.mean(0)).argmax(1)
