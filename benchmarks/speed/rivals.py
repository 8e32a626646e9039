"""What lcx's speed is measured against: LC-PFN's largest transformer, emcee at the paper's setting, lcpfn's sampler."""

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lcx.priors.parametric import PARAMETRIC, Uniform

HORIZON = 100
LOG_T, INVERSE_LOG = np.log(np.arange(1.0, HORIZON + 1)), 1 / np.log(np.arange(2.0, HORIZON + 2))
WALKERS, STEPS = 100, 2000  # M1 of the paper: 100 walkers, 2,000 steps of which 500 burn-in, thin 1


class PaperTransformer(nn.Module):
    """LC-PFN at size P3: 12 layers x 512, 4 heads, feed-forward 1024, 1,000 bars (lcpfn/train_lcpfn.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.value = nn.Linear(1, 512), nn.Linear(1, 512)
        layer = nn.TransformerEncoderLayer(512, 4, 1024, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
        self.bars = nn.Sequential(nn.Linear(512, 1024), nn.GELU(), nn.Linear(1024, 1000))

    def forward(self, steps: Tensor, values: Tensor) -> Tensor:
        """Logits (B, queries, 1000) from steps (B, context + queries) and values (B, context)."""
        context, length = values.shape[1], steps.shape[1]
        hidden = ~torch.eye(length, dtype=torch.bool)  # a query sees the context and itself
        hidden[:, :context] = False
        x = self.step(steps[..., None] / HORIZON)
        x = torch.cat([x[:, :context] + self.value(values[..., None]), x[:, context:]], 1)
        return self.bars(self.layers(x, hidden)[:, context:])


def paper_pass(values: np.ndarray) -> Callable[[], Tensor]:
    """One pass of the P3-size transformer over the same context and queries."""
    network, context = PaperTransformer().eval(), torch.from_numpy(values).float()
    steps = torch.arange(1.0, HORIZON + 1).expand(len(values), -1)
    return torch.inference_mode()(lambda: network(steps, context))


def law_ranges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each parameter of the parametric prior: whether its law is uniform; its start, or the mean of its (log-)normal; width or sd."""
    laws = PARAMETRIC.laws.values()
    ranges = [(True, x.low, x.high - x.low) if isinstance(x, Uniform) else (False, x.mean, x.sd) for x in laws]
    uniform, start, width = (np.array(column) for column in zip(*ranges, strict=True))
    return uniform, start, width


def mean_curve(theta: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """``PARAMETRIC.mean_curve`` in NumPy at steps 1 to 100; parameters without sigma, those with a log-normal law by their logarithm."""
    w1, c1, a1, alpha, w2, a2, beta, kappa, delta, w3, c3, a3 = theta
    with np.errstate(over="ignore"):
        f = w1 * (c1 - a1 * np.exp(-np.exp(alpha) * LOG_T)) + w3 * (c3 - a3 * INVERSE_LOG)
        f += w2 * (a2 - (a2 - beta) * np.exp(-np.exp(kappa + np.exp(delta) * LOG_T)))
    return f


def lean_density(values: np.ndarray) -> Callable[[np.ndarray], Any]:
    """``PARAMETRIC.log_joint`` in NumPy, float64, less a constant: latents (13,) or (walkers, 13) to a density each."""
    from scipy.special import ndtr

    (uniform, start, width), n = law_ranges(), len(values)

    def density(z: np.ndarray) -> Any:
        # Parameters with a log-normal law by their logarithm, each (1,) or (walkers, 1), in the order of the laws.
        theta = (start + width * np.where(uniform, ndtr(z), z)).T[..., None]
        f, log_sigma = mean_curve(theta[:-1]), theta[-1]
        admissible = (f[..., -1] >= f[..., 0]) & (f.min(-1) >= 0) & (f.max(-1) <= 1)
        residual = (values - f[..., :n]) * np.exp(-log_sigma)
        log_density = -0.5 * ((z**2).sum(-1) + (residual**2).sum(-1)) - n * log_sigma[..., 0]
        return np.where(admissible, log_density, -np.inf) if z.ndim == 2 else log_density if admissible else -np.inf

    return density


def log_joint(values: np.ndarray) -> Callable[[np.ndarray], float]:
    """``PARAMETRIC.log_joint`` itself with its hard wall, called for one walker at a time, in float64."""
    observed, steps = torch.from_numpy(values), torch.arange(1.0, len(values) + 1, dtype=torch.float64)
    return lambda z: PARAMETRIC.log_joint(torch.from_numpy(z), observed, steps).item()


def emcee_timer(values: np.ndarray, density: Callable[[np.ndarray], Callable], steps: int, vectorised: bool = False) -> Callable[[], float]:
    """Seconds of one M1 run from admissible prior draws; with fewer ``steps`` than M1's, scaled in proportion."""
    import emcee

    starts = PARAMETRIC.draw(WALKERS, torch.Generator().manual_seed(2)).double().numpy()

    def run() -> float:
        begin = time.perf_counter()
        emcee.EnsembleSampler(WALKERS, starts.shape[1], density(values), vectorize=vectorised).run_mcmc(starts, steps)
        return (time.perf_counter() - begin) * STEPS / steps

    return run


def lcpfn_prior() -> Any:
    """``lcpfn.domhan_prior``, None if missing. Its package's __init__ is not run: it needs more than is installed."""
    spec = importlib.util.find_spec("lcpfn")
    if spec is None:
        print("prior: nothing to compare with, lcpfn is missing; pip install --no-deps lcpfn==0.1.3")
        return None
    sys.modules["lcpfn"] = importlib.util.module_from_spec(spec)
    return importlib.import_module("lcpfn.domhan_prior")
