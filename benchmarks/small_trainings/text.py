"""Next-character models on English and on source text that Python brings along: windows, recurrences and one-head attention."""

import inspect
from functools import cache
from importlib import import_module
from pydoc_data import topics

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.small_trainings.layers import Shapes
from benchmarks.small_trainings.optimizers import descend, recipe
from benchmarks.small_trainings.plans import Plan, grid
from benchmarks.small_trainings.studies import Study

TEXTS = ("manual", "argparse", "decimal", "statistics", "random", "typing")
MODELS = ("window", "recurrent", "attention", "gated", "bigram")
LETTERS, LONGEST = 40, 120_000  # the most frequent characters, all others being one more; and characters used of a text
MOST_WORK = 7e9  # multiplications of a study's training, forward; longer ones are shortened


@cache
def codes(name: str) -> np.ndarray:
    """A text as numbers below ``LETTERS`` + 1: Python's manual, or the source of a module."""
    if name == "manual":
        text = "\n".join(topics.topics[key] for key in sorted(topics.topics))
    else:
        text = inspect.getsource(import_module("_pydecimal" if name == "decimal" else name))
    letters = np.array(list(text[:LONGEST].lower()))
    known, counts = np.unique(letters, return_counts=True)
    order = np.full(len(known), LETTERS)
    order[np.argsort(-counts, kind="stable")[:LETTERS]] = np.arange(min(LETTERS, len(known)))
    return order[np.searchsorted(known, letters)]


def characters(rng: np.random.Generator, index: int, runs: int) -> Study:
    """A study of one model on one text: cross-entropy on its last part or, averaged as logs do, in training."""
    plan, name, model = Plan(rng, runs), TEXTS[index % len(TEXTS)], MODELS[index % len(MODELS)]
    text = torch.from_numpy(codes(name))
    part = int(len(text) * np.exp(rng.uniform(np.log(0.03), 0)))  # of a short text models learn too much by heart
    train, held = text[: int(0.8 * part)], text[int(0.8 * part) : part]
    length, batch = int(rng.integers(4, 13)), int(rng.choice([4, 8, 16, 32]))
    width, inner = int(rng.choice([8, 16, 32])), int(rng.choice([6, 12, 24]))
    shapes = _shapes(model, length, width, inner)
    last = int(np.exp(rng.uniform(np.log(120), np.log(1500))))
    cost = runs * batch * sum(shapes.sizes) * (length if model in ("recurrent", "gated") else 1)
    last = max(60, min(last, int(MOST_WORK / cost)))
    when, how = grid(rng, last), recipe(plan, last)
    draw = torch.Generator().manual_seed(int(rng.integers(2**31)))
    within = torch.arange(length + 1)
    checks = held.unfold(0, length + 1, max(1, (len(held) - length) // int(rng.integers(40, 200))))

    def losses(weights: Tensor, rows: Tensor) -> Tensor:
        outputs = _outputs(model, shapes.cut(weights), rows[..., :-1])
        return functional.cross_entropy(outputs.transpose(1, 2), rows[..., -1], reduction="none").mean(1)

    def loss(weights: Tensor, step: int) -> Tensor:
        return losses(weights, train[torch.randint(len(train) - length, (runs, batch, 1), generator=draw) + within])

    start = shapes.start(plan.log(0.4, 2.0), int(rng.integers(2**31)))
    valid, trained = descend(loss, start, how, when.steps, lambda w, mean: [losses(w, checks.expand(runs, -1, -1)), mean])
    return Study(f"{index}-{name}-{model}-{plan.kind}", when.told, trained if rng.random() < 0.3 else valid)


def _shapes(model: str, length: int, width: int, inner: int) -> Shapes:
    """Embedding, what lies between, and the output layer."""
    many = LETTERS + 1
    if model == "bigram":
        return Shapes([(1, many, many), (many,)])
    between = {
        "window": [(length * inner, width), (width,)],
        "recurrent": [(inner, width), (width, width), (width,)],
        "gated": [(inner, 2 * width), (width, 2 * width), (2 * width,)],
        "attention": [(inner, width), (inner, width), (inner, width), (1, length, inner)],
    }[model]
    return Shapes([(1, many, inner), *between, (width, many), (many,)])


def _outputs(model: str, parts: list[Tensor], rows: Tensor) -> Tensor:
    """Logits of the character after each row, (R, B, letters)."""
    embedding, *between, bias = parts
    if model == "bigram":
        return _looked_up(embedding, rows[..., -1:])[:, :, 0] + bias[:, None]
    *between, last = between
    x = _looked_up(embedding, rows)
    if model == "window":
        h = torch.tanh(x.flatten(2) @ between[0] + between[1][:, None])
    elif model == "attention":
        x = x + between[3]
        query, key, value = x[:, :, -1:] @ between[0][:, None], x @ between[1][:, None], x @ between[2][:, None]
        h = torch.softmax((query * key).sum(-1) / key.shape[-1] ** 0.5, -1)[:, :, None] @ value
        h = torch.relu(h[:, :, 0])
    else:
        h = torch.zeros(*x.shape[:2], last.shape[1])
        for t in range(x.shape[2]):
            now = x[:, :, t] @ between[0] + h @ between[1] + between[2][:, None]
            if model == "gated":
                gate, new = now.chunk(2, -1)
                gate = torch.sigmoid(gate + 1)
                h = gate * h + (1 - gate) * torch.tanh(new)
            else:
                h = torch.tanh(now)
    return h @ last + bias[:, None]


def _looked_up(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (R, B, T) of each run's own table (R, 1, K, E)."""
    table = table[:, 0]
    flat = rows.flatten(1)[..., None].expand(-1, -1, table.shape[2])
    return table.gather(1, flat).reshape(*rows.shape, table.shape[2])
