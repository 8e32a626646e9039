"""The No-U-Turn sampler of Pyro on the latents of a prior.

Source: Hoffman & Gelman, JMLR 15 (2014); Bingham et al., "Pyro", JMLR 20 (2019).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from lcx.priors.parametric import Prior
from lcx.reference.draws import Draws, check_density

PENALTY = 1000.0  # nats per unit of violation: 0.01 over [0, 1] at ten steps costs 100 nats, a rounding error next to none
_DEPTH = 8  # of trees: at most 255 gradients, about a third of a second, per transition
_STARTS = 20_000  # prior draws out of which chains start


def nuts(
    prior: Prior,
    values: Float[Tensor, "B T"],
    steps: Float[Tensor, "B T"],
    *,
    draws: int,
    warmup: int,
    chains: int,
    generator: torch.Generator,
    progress: bool,
) -> Draws:
    """Chains on z with a penalty that is zero inside the admissible set; inadmissible draws are marked, to be dropped.

    Chains run one after the other, each from a prior draw chosen with weights proportional to the likelihood.

    Args:
        prior: any with ``log_joint``.
        values: observed metric in model units; NaN is missing.
        steps: model steps of the values.
        draws: transitions kept per chain.
        warmup: transitions before them, for adaptation.
        chains: number of chains per curve.
        generator: seeds chains and starts.
        progress: show a progress bar, of chains.
    """
    # Pyro draws from torch's global generator, which is left as it was.
    with torch.random.fork_rng(devices=[values.device] if values.device.type == "cuda" else []):
        theta, divergences, acceptance = [], [], []
        with tqdm(total=len(values) * chains, disable=not progress, unit="chain", desc="nuts") as bar:
            for y, t in zip(values.double(), steps.double(), strict=True):
                for start in _starts(prior, y, t, chains, generator):
                    torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator, device=generator.device)))
                    z, diverged, accepted = _chain(prior, y, t, start, draws, warmup)
                    theta.append(prior.parameters(z))
                    divergences.append(diverged)
                    acceptance.append(accepted)
                    bar.update()
    shape = (len(values), chains)
    theta = torch.stack(theta).unflatten(0, shape)
    share, rate = (torch.tensor(x, dtype=torch.float64).reshape(shape).mean(1) for x in (divergences, acceptance))
    return Draws(theta.cpu(), (prior.violation(theta) == 0).cpu(), rate, divergences=share)


def _chain(prior: Prior, values: Tensor, steps: Tensor, start: Tensor, draws: int, warmup: int) -> tuple[Tensor, float, float]:
    """Latents (draws, dim), share of divergent transitions, share of transitions that moved."""
    from pyro.infer import MCMC, NUTS

    kernel = NUTS(
        potential_fn=lambda latents: -prior.log_joint(latents["z"], values, steps, penalty=PENALTY), full_mass=True, max_tree_depth=_DEPTH
    )
    run = MCMC(kernel, num_samples=draws, warmup_steps=warmup, initial_params={"z": start}, disable_progbar=True)
    run.run()
    facts = run.diagnostics()
    return run.get_samples()["z"], len(facts["divergences"]["chain 0"]) / draws, float(facts["acceptance rate"]["chain 0"])


def _starts(prior: Prior, values: Tensor, steps: Tensor, n: int, generator: torch.Generator) -> Tensor:
    z = prior.draw(_STARTS, generator).double()
    log_likelihood = prior.log_joint(z, values, steps, penalty=0.0) + 0.5 * (z**2).sum(-1)
    check_density(prior, log_likelihood[None], values[None])
    return z[torch.multinomial(torch.softmax(log_likelihood, 0), n, replacement=True, generator=generator)]
