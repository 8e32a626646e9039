"""BoTorch's empirical Gaussian process (Lin et al. 2026, ICML; arXiv 2602.12082): mean and covariance over steps are those of the others.

The others are read off on the target's own steps by linear interpolation and go on with their last value where they end; they are scaled
as for the latent Kronecker GP. A Matérn kernel is added, as BoTorch advises for a single task, for ten runs span ten directions only; its
lengthscale and scale and the noise are found by maximum likelihood on what is seen of the target.

Needs a BoTorch after 0.18.1, which is the newest on PyPI: ``pip install git+https://github.com/meta-pytorch/botorch@eea35f5``.
"""

import warnings

import numpy as np

from benchmarks.curves import LONGEST, RealCurve
from benchmarks.peers.gaussian_process import ROUNDS, fill, laid_out
from benchmarks.studies.ask import Law
from benchmarks.studies.questions import Run


def empirical_gp(curve: RealCurve, cut: int, others: list[Run]) -> Law:
    """See the top of this file."""
    laid = laid_out(curve, cut, others, 2 * LONGEST)
    return laid.law(*fitted(laid.time, laid.y[0, : laid.seen + 1], np.stack([fill(row) for row in laid.y[1:]])))


def fitted(time: np.ndarray, seen: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of the target's noisy values on the whole grid (G,), from its first values and the others' (runs, G)."""
    import torch
    from botorch.fit import fit_gpytorch_mll  # pyright: ignore[reportMissingImports]
    from botorch.models.empirical_gps import EmpiricalOneDimensionalGP  # pyright: ignore[reportMissingImports]
    from gpytorch.kernels import MaternKernel, ScaleKernel  # pyright: ignore[reportMissingImports]
    from gpytorch.mlls import ExactMarginalLogLikelihood  # pyright: ignore[reportMissingImports]

    middle, unit = others.mean(), others.std() or 1.0
    t, y, history = (torch.from_numpy(np.ascontiguousarray(a)) for a in (time[:, None], (seen - middle) / unit, (others - middle) / unit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence; what matters is the score
        model = EmpiricalOneDimensionalGP(
            t[: len(y)], y[:, None], t, history[..., None], base_covar_module=ScaleKernel(MaternKernel(nu=2.5)).double()
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": ROUNDS}})
        with torch.no_grad():
            found = model.posterior(t, observation_noise=True)
            return middle + unit * found.mean.flatten().numpy(), unit * found.variance.flatten().clamp(min=0).sqrt().numpy()
