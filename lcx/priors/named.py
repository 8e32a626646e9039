"""The priors by name, and :func:`sample_prior`."""

import torch

from lcx.curves import Curves
from lcx.priors.general import GeneralPrior
from lcx.priors.parametric import PARAMETRIC, Prior
from lcx.priors.scaling import ScalingPrior

PRIORS: dict[str, Prior | GeneralPrior] = {prior.name: prior for prior in (PARAMETRIC, GeneralPrior(), ScalingPrior())}


def sample_prior(n: int, prior: str = "parametric", *, seed: int, device: str | torch.device | None = None) -> Curves:
    """``n`` noisy synthetic curves of a named prior.

    Args:
        n: number of curves, >= 1.
        prior: name of the prior.
        seed: seed of the draw; the same seed gives the same curves on the same kind of device.
        device: where to draw; default CPU.

    Returns:
        Curves of 100 points and horizon 100: "parametric" on steps 1..100, the others on grids of their own in arbitrary units.

    Raises:
        ValueError: unknown prior, or ``n`` < 1.
    """
    if prior not in PRIORS:
        raise ValueError(f"expected prior to be one of {sorted(PRIORS)}, got {prior!r}; choose one of these names")
    if n < 1:
        raise ValueError(f"expected n >= 1 curves, got {n}; ask for at least one")
    return PRIORS[prior].sample(n, torch.Generator(device or "cpu").manual_seed(seed))
