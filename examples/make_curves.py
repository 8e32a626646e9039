"""Measure the example learning curves: small models trained on data sets that come with scikit-learn.

    python examples/make_curves.py                              # all curves, about 10 s on one CPU core
    python examples/make_curves.py --only digits_accuracy       # one curve
    python examples/make_curves.py --out /tmp/curves            # elsewhere than next to this script

Every curve is a CSV file with the columns `step` and the metric's name, and `train_loss` next to a validation loss:

    digits_accuracy        validation accuracy on the digits, noise on the training inputs; the demonstration curve
    digits_loss            validation cross-entropy of a healthy run on the digits
    overfitting_loss       100 training examples, no regularisation: the validation loss falls, then rises
    noisy_accuracy         30 validation examples, batches of 4, noise on the training inputs: a jumping accuracy
    slow_starter_accuracy  three sigmoid layers: the accuracy sits near chance, then rises
    diverging_loss         learning rate too high for a momentum of 0.99: the loss falls, then grows
    diabetes_rmse          validation error of a linear regression, in the target's own unit
    sample_size_accuracy   test accuracy of a support vector machine against the number of training examples

Each shape comes from the set-up in `RUNS` alone; no value is edited, smoothed or left out. Seeds are fixed: the same
package versions on the same kind of CPU give the same files; others may differ in the last digits and, where training
is chaotic (diverging_loss), in single bumps. Needs torch, scikit-learn and pandas; no network and no GPU.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Run:
    """One training run of a multilayer perceptron by stochastic gradient descent; a step is an epoch."""

    load: Callable  # a data set of scikit-learn
    metric: str  # "accuracy", "loss" (cross-entropy, nats per example) or "rmse", measured on the validation set
    train: int  # training examples
    validation: int  # validation examples
    hidden: tuple[int, ...]  # width of each hidden layer
    lr: float
    batch: int  # examples per update
    epochs: int
    activation: type[nn.Module] = nn.ReLU
    momentum: float = 0.0
    weight_decay: float = 0.0
    noise: float = 0.0  # standard deviation of the normal noise added to the standardised training inputs
    seed: int = 0  # of the split, the initial weights and the order of the examples


def load_progression(return_X_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the diabetes data as a classification: is the progression above its median?"""
    inputs, progression = (np.asarray(part) for part in load_diabetes(return_X_y=return_X_y))
    return inputs, (progression > np.median(progression)).astype(int)


RUNS = {
    "digits_accuracy": Run(load_digits, "accuracy", 1000, 250, (32, 32, 32), lr=0.02, batch=20, epochs=100, noise=1.5),
    "digits_loss": Run(load_digits, "loss", 1200, 500, (64,), lr=0.02, batch=50, epochs=100, weight_decay=1e-3),
    "overfitting_loss": Run(load_progression, "loss", 100, 300, (64, 64), lr=0.05, batch=10, epochs=120),
    "noisy_accuracy": Run(load_digits, "accuracy", 300, 30, (32,), lr=0.03, batch=4, epochs=80, noise=3.0),
    "slow_starter_accuracy": Run(load_digits, "accuracy", 1200, 500, (32, 32, 32), lr=0.2, batch=50, epochs=120, activation=nn.Sigmoid),
    "diverging_loss": Run(load_digits, "loss", 1000, 500, (64, 64), lr=0.02, batch=100, epochs=60, momentum=0.99),
    "diabetes_rmse": Run(load_diabetes, "rmse", 300, 142, (), lr=5e-4, batch=10, epochs=100),
}


def split(run: Run) -> list[torch.Tensor]:
    """Return training inputs, validation inputs, training targets, validation targets; inputs are standardised."""
    inputs, targets = run.load(return_X_y=True)
    regression = run.metric == "rmse"
    x, x_val, y, y_val = train_test_split(
        inputs,
        targets,
        train_size=run.train,
        test_size=run.validation,
        random_state=run.seed,
        stratify=None if regression else targets,
    )
    scaler = StandardScaler().fit(x)
    kind = torch.float32 if regression else torch.int64
    x, x_val = (torch.tensor(scaler.transform(part), dtype=torch.float32) for part in (x, x_val))
    return [x, x_val, torch.tensor(y, dtype=kind), torch.tensor(y_val, dtype=kind)]


def perceptron(widths: list[int], activation: type[nn.Module], generator: torch.Generator) -> nn.Sequential:
    """Return a multilayer perceptron whose weights are uniform within 1/sqrt(inputs), as torch's default is."""
    layers = []
    for inputs, outputs in pairwise(widths):
        linear = nn.Linear(inputs, outputs)
        for parameter in linear.parameters():
            nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1])


def measure(metric: str, output: torch.Tensor, target: torch.Tensor) -> float:
    """Return the metric of a model's output."""
    if metric == "accuracy":
        return (output.argmax(-1) == target).double().mean().item()
    if metric == "loss":
        return F.cross_entropy(output, target).item()
    return F.mse_loss(output[:, 0], target).sqrt().item()


def train(run: Run) -> pd.DataFrame:
    """Train once and return one row per epoch: step, the validation metric and the mean training loss of the epoch."""
    generator = torch.Generator().manual_seed(run.seed)
    x, x_val, y, y_val = split(run)
    outputs = 1 if run.metric == "rmse" else int(y.max()) + 1
    model = perceptron([x.shape[1], *run.hidden, outputs], run.activation, generator)
    optimizer = torch.optim.SGD(model.parameters(), run.lr, run.momentum, weight_decay=run.weight_decay)
    rows = []
    for epoch in range(1, run.epochs + 1):
        losses = []
        for batch in torch.randperm(len(x), generator=generator).split(run.batch):
            noise = run.noise * torch.randn(x[batch].shape, generator=generator)
            output = model(x[batch] + noise)
            loss = F.mse_loss(output[:, 0], y[batch]) if run.metric == "rmse" else F.cross_entropy(output, y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            rows.append((epoch, measure(run.metric, model(x_val), y_val), np.mean(losses)))
    curve = pd.DataFrame(rows, columns=["step", run.metric, "train_loss"])
    return curve if run.metric == "loss" else curve.drop(columns="train_loss")


def sample_sizes(points: int = 30, repeats: int = 3, test: int = 600) -> pd.DataFrame:
    """Return the test accuracy on the digits against the training-set size, 12 to 1197, each size on fresh subsets.

    A step is a number of training examples, evenly spaced in its logarithm; accuracy is the mean over `repeats` subsets.
    """
    inputs, targets = load_digits(return_X_y=True)
    pool, x_test, pool_target, y_test = train_test_split(inputs, targets, test_size=test, random_state=0, stratify=targets)
    rng = np.random.default_rng(0)
    rows = []
    for size in np.geomspace(12, len(pool), points).round().astype(int):
        accuracies = []
        for _ in range(repeats):
            chosen = rng.permutation(len(pool))[:size]
            model = make_pipeline(StandardScaler(), SVC()).fit(pool[chosen], pool_target[chosen])
            accuracies.append(model.score(x_test, y_test))
        rows.append((size, np.mean(accuracies)))
    return pd.DataFrame(rows, columns=["step", "accuracy"])


def main() -> None:
    """Measure the chosen curves, write them as CSV and print one line for each."""
    names = [*RUNS, "sample_size_accuracy"]
    parser = argparse.ArgumentParser(description="Measure the example learning curves.")
    parser.add_argument("--only", choices=names, metavar="NAME", help=f"measure one curve: {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in [args.only] if args.only else names:
        curve = train(RUNS[name]) if name in RUNS else sample_sizes()
        curve.to_csv(args.out / f"{name}.csv", index=False, float_format="%.6g")
        values = curve.iloc[:, 1]
        best = values.max() if values.name == "accuracy" else values.min()
        print(f"{name:22} {len(curve):3} points  first {values.iloc[0]:.6g}  best {best:.6g}  last {values.iloc[-1]:.6g}")


if __name__ == "__main__":
    main()
