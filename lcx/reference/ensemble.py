"""The affine-invariant ensemble sampler of emcee on the latents of a prior. As in the LC-PFN paper, inadmissible points have zero density.

Source: Goodman & Weare, CAMCoS 5 (2010); Foreman-Mackey, Hogg, Lang, Goodman, "emcee", PASP 125 (2013).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.draws import Draws, check_density

WALKERS = 100


class Preset(NamedTuple):
    """Steps of an ensemble in all, of which burn-in, and thinning."""

    steps: int
    warmup: int
    thin: int


# Adriaensen et al. (2023), Section 4.1: three of the settings they compare with.
PRESETS = {"emcee-M1": Preset(2000, 500, 1), "emcee-M2": Preset(4000, 100, 100), "emcee-M3": Preset(4000, 500, 1)}


def ensemble(
    prior: Prior,
    values: Float[Tensor, "B T"],
    steps: Float[Tensor, "B T"],
    *,
    preset: Preset,
    ensembles: int,
    generator: torch.Generator,
    progress: bool,
) -> Draws:
    """Independent ensembles of 100 walkers from admissible prior draws; every walker counts as a chain.

    The density of all walkers that move together is one call of ``log_joint``.

    Args:
        prior: any with ``log_joint``.
        values: observed metric in model units; NaN is missing.
        steps: model steps of the values.
        preset: steps, warm-up and thinning.
        ensembles: number of ensembles per curve.
        generator: seeds walkers and starts.
        progress: show a progress bar, of ensembles.

    Raises:
        ImportError: emcee is missing; install lcx[mcmc].
    """
    try:
        import emcee
    except ImportError as error:
        raise ImportError("expected the package emcee for this sampler, got none; pip install 'lcx[mcmc]'") from error
    latents, acceptance = [], []
    with tqdm(total=len(values) * ensembles, disable=not progress, unit="ensemble", desc="emcee") as bar:
        for y, t in zip(values.double(), steps.double(), strict=True):

            def density(z: np.ndarray, y: Tensor = y, t: Tensor = t) -> np.ndarray:
                return prior.log_joint(torch.from_numpy(z).to(y), y, t).nan_to_num(nan=-torch.inf, neginf=-torch.inf).cpu().numpy()

            for _ in range(ensembles):
                start = prior.draw(WALKERS, generator).double().cpu().numpy()
                check_density(prior, torch.from_numpy(density(start))[None], y[None])
                seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
                sampler = emcee.EnsembleSampler(WALKERS, prior.dim, density, vectorize=True)
                sampler.run_mcmc(emcee.State(start, random_state=np.random.RandomState(seed).get_state()), preset.steps)
                latents.append(torch.from_numpy(sampler.get_chain(discard=preset.warmup, thin=preset.thin)).transpose(0, 1))
                acceptance.append(sampler.acceptance_fraction.mean())
                bar.update()
    theta = prior.parameters(torch.stack(latents).unflatten(0, (len(values), ensembles)).flatten(1, 2))
    rate = torch.tensor(np.array(acceptance)).reshape(len(values), ensembles).mean(1)
    return Draws(theta, torch.ones(theta.shape[:3], dtype=torch.bool), rate)
