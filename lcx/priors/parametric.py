"""A prior over learning curves: white noise -> parameters -> mean curve -> likelihood.

One :class:`Prior` has three uses: it samples training batches for the PFN, its ``log_joint`` is the density for MCMC, and its accepted
draws are the start of importance sampling or SMC. Latents are independent N(0, 1); each parameter is a monotone map of its own latent.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lcx.curves import Curves
from lcx.priors.families import ilog2, janoschek, pow3

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
# Indices into the 100-step grid at which proposals that pass at both ends are tested before all 100 steps are evaluated; log-spaced,
# since curves change early.
_SCREEN = [0, 1, 3, 7, 15, 31, 63, 99]


@dataclass(frozen=True)
class Uniform:
    """Map of z ~ N(0, 1) to U(low, high), by the normal cdf."""

    low: float
    high: float

    def __call__(self, z: Tensor) -> Tensor:
        """Gives the value at z."""
        return self.low + (self.high - self.low) * torch.special.ndtr(z)


@dataclass(frozen=True)
class LogNormal:
    """Map of z ~ N(0, 1) to exp(N(mean, sd**2))."""

    mean: float
    sd: float

    def __call__(self, z: Tensor) -> Tensor:
        """Gives the value at z."""
        return torch.exp(self.mean + self.sd * z)


Law = Uniform | LogNormal


@dataclass(frozen=True)
class Term:
    """One weighted family: ``weight * family(t, **parameters)``, every argument with its law.

    ``linear`` names the parameters in which the family is linear: with all of them at 0 it is 0.
    """

    family: Callable[..., Tensor]
    weight: Law
    parameters: dict[str, Law]
    linear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prior:
    """Law of noisy learning curves y_t = f(t) + sigma * eps_t on model steps 1..100, with f = sum_k w_k f_k.

    Admissible are mean curves that rise from the first to the last step and stay within [0, 1] at every integer step between;
    noisy values may leave it. ``violation`` says by how much a curve breaks these rules, so that gradient-based MCMC can be led
    back instead of meeting a wall (Betancourt's advice for constrained targets; NUTS under it is measured in benchmarks/LOG.md).

    Attributes:
        name: the name by which ``lcx.sample_prior`` and checkpoints refer to it.
        terms: the weighted families.
        noise: the law of sigma, the standard deviation of the observation noise.

    Source: Adriaensen, Rakotoarison, Müller, Hutter, NeurIPS 2023 (arXiv 2310.20447), Section 4.1 and the code of ``lcpfn`` 0.1.3.
    """

    name: str
    terms: tuple[Term, ...]
    noise: LogNormal

    @cached_property
    def laws(self) -> dict[str, Law]:
        """Name -> law of every parameter, in the order of the last axis of ``z``; "sigma" is last."""
        laws: dict[str, Law] = {}
        for term in self.terms:
            family = term.family.__name__
            laws[f"{family}.weight"] = term.weight
            laws |= {f"{family}.{name}": law for name, law in term.parameters.items()}
        return laws | {"sigma": self.noise}

    @property
    def dim(self) -> int:
        """Number of latents."""
        return len(self.laws)

    def parameters(self, z: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Named values computed from the latents, in the order of ``laws``."""
        return torch.stack([law(z[..., i]) for i, law in enumerate(self.laws.values())]).movedim(0, -1)

    def mean_curve(self, theta: Float[Tensor, "*batch dim"], t: Float[Tensor, "*steps length"]) -> Float[Tensor, "*all length"]:
        """Noise-free metric f(t) = sum_k w_k f_k(t).

        Args:
            theta: parameters, from :meth:`parameters`.
            t: model steps, > 0; (length,) for all curves or (\\*batch, length).

        Returns:
            f at each step, metric on the [0, 1] scale.
        """
        columns = iter(theta.unsqueeze(-1).unbind(-2))
        total = torch.zeros((), dtype=theta.dtype, device=theta.device)
        for term in self.terms:
            weight = next(columns)
            total = total + weight * term.family(t, **{name: next(columns) for name in term.parameters})
        return total

    def sigma(self, theta: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
        """Standard deviation of the observation noise, metric on the [0, 1] scale."""
        return theta[..., -1]

    def violation(self, theta: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
        """How far the mean curve is from admissible: 0 exactly if it is accepted, else > 0 (inf if not finite).

        Sum over the 100 steps of the distance to [0, 1], plus the fall max(f(1) - f(100), 0).
        """
        return self._violation(self.mean_curve(theta, _grid(theta)))

    def log_likelihood(
        self, theta: Float[Tensor, "*batch dim"], values: Float[Tensor, "*data length"], steps: Float[Tensor, "*data length"]
    ) -> Float[Tensor, "*all"]:
        """sum_t log N(y_t; f(t), sigma), nats; NaN in ``values`` is missing. See :meth:`log_joint`."""
        sigma = self.sigma(theta).unsqueeze(-1)
        seen = ~torch.isnan(values) & ~torch.isnan(steps)
        t = torch.where(seen, steps, 1.0)
        residual = torch.where(seen, values, 0.0) - self.mean_curve(theta, t)
        return torch.where(seen, -0.5 * (residual / sigma) ** 2 - torch.log(sigma) - _LOG_SQRT_2PI, 0.0).sum(-1)

    def log_joint(
        self,
        z: Float[Tensor, "*batch dim"],
        values: Float[Tensor, "*data length"],
        steps: Float[Tensor, "*data length"],
        penalty: float = math.inf,
    ) -> Float[Tensor, "*all"]:
        """log N(z; 0, I) + sum_t log N(y_t; f(t), sigma) - penalty * violation, up to the log of the acceptance rate.

        Args:
            z: latents.
            values: observed metric on the [0, 1] scale; NaN is missing.
            steps: model steps of the values.
            penalty: nats per unit of violation; inf is the hard wall (-inf outside the admissible set), a finite one is for
                samplers that follow gradients, whose inadmissible draws are then dropped.

        Returns:
            Unnormalised log posterior density of ``z``, in nats.
        """
        theta = self.parameters(z)
        log_likelihood = self.log_likelihood(theta, values, steps)
        log_prior = (-0.5 * z**2 - _LOG_SQRT_2PI).sum(-1)
        violation = self.violation(theta)
        wall = torch.where(violation > 0, -math.inf, 0.0) if math.isinf(penalty) else -penalty * violation
        return log_prior + log_likelihood + wall

    def draw(self, n: int, generator: torch.Generator) -> Float[Tensor, "n dim"]:
        """Latents of ``n`` admissible curves, by rejection on the generator's device, float32.

        Raises:
            RuntimeError: if fewer than 1 in 10,000 of the first million proposals is admissible.
        """
        return torch.cat([z for z, _, _ in self._accepted(n, generator)])

    def draw_screened(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Latents and parameters of ``n`` curves as by :meth:`draw`, but that they are admissible is tested at eight steps alone.

        That takes half the time, and for those whose weight in an answer is not 0 the rest of the test, :meth:`admissible`, remains.
        """
        z, theta, _ = zip(*self._accepted(n, generator, _SCREEN), strict=True)
        return torch.cat(z), torch.cat(theta)

    def admissible(self, theta: Float[Tensor, "*batch dim"]) -> Bool[Tensor, "*batch"]:
        """Whether ``violation`` is 0."""
        return self.admits(self.mean_curve(theta, _grid(theta)))

    def sample(self, n: int, generator: torch.Generator, steps: Float[Tensor, "*n length"] | None = None) -> Curves:
        """``n`` noisy curves on the given model steps (default 1, 2, ..., 100), horizon 100, on the generator's device, float32."""
        chunks = []
        for _, theta, f in self._accepted(n, generator):
            if steps is not None:
                start = sum(map(len, chunks))
                f = self.mean_curve(theta, steps if steps.dim() == 1 else steps[start : start + len(theta)])
            noise = torch.randn(f.shape, generator=generator, device=f.device)
            chunks.append(noise.mul_(self.sigma(theta).unsqueeze(-1)).add_(f))
        values = torch.cat(chunks)
        t = (_grid(values) if steps is None else steps).expand_as(values).contiguous()
        return Curves(values, t, torch.full((n,), 100.0, device=values.device))

    def _accepted(self, n: int, generator: torch.Generator, *looks: list[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Chunks (z, theta, f) of admissible proposals, ``n`` in all, small enough to stay in a CPU's cache.

        f is on the last of the ``looks``, sets of steps on which the proposals are tested one after the other; default all 100 in the end.
        """
        device = generator.device
        proposals = 1 << 13 if device.type == "cpu" else 1 << 18
        grid = torch.arange(1.0, 101.0, device=device)
        count = tried = 0
        while count < n:
            # Latent-major storage makes each latent one contiguous row.
            z = torch.randn(self.dim, proposals, generator=generator, device=device).T
            theta = self.parameters(z)
            f = self.mean_curve(theta, grid[[0, -1]])
            for look in looks or (_SCREEN, list(range(100))):
                alive = self.admits(f).nonzero().squeeze(-1)
                z, theta = z[alive], theta[alive]
                f = self.mean_curve(theta, grid[look])
            alive = self.admits(f).nonzero().squeeze(-1)[: n - count]
            yield z[alive], theta[alive], f[alive]
            count, tried = count + len(alive), tried + proposals
            if tried > 1_000_000 and count < tried / 10_000:
                raise RuntimeError(
                    f"expected prior {self.name!r} to admit at least 1 in 10,000 proposals, got {count} of {tried}; "
                    "widen its laws or its admissible set"
                )

    @staticmethod
    def admits(f: Float[Tensor, "*batch length"]) -> Bool[Tensor, "*batch"]:
        """Whether a mean curve, of which the first and the last step are given, is admissible at the steps given: a quick look."""
        return (f.amin(-1) >= 0) & (f.amax(-1) <= 1) & (f[..., 0] <= f[..., -1])

    @staticmethod
    def _violation(f: Float[Tensor, "*batch length"]) -> Float[Tensor, "*batch"]:
        outside = (torch.relu(-f) + torch.relu(f - 1)).sum(-1)
        return torch.nan_to_num(outside + torch.relu(f[..., 0] - f[..., -1]), nan=math.inf, posinf=math.inf)


def _grid(like: Tensor) -> Float[Tensor, "100"]:
    return torch.arange(1, 101, dtype=like.dtype, device=like.device)


PARAMETRIC = Prior(
    name="parametric",
    terms=(
        Term(pow3, Uniform(0, 1), {"c": Uniform(0, 1.25), "a": Uniform(-0.6, 0.6), "alpha": LogNormal(0, 2)}, ("c", "a")),
        Term(
            janoschek,
            Uniform(0, 1),
            {"a": Uniform(0, 1), "beta": Uniform(0, 2), "kappa": LogNormal(-2, 1), "delta": LogNormal(0, 0.5)},
            ("a", "beta"),
        ),
        Term(ilog2, Uniform(0, 1), {"c": Uniform(0, 1), "a": Uniform(-0.5, 0.5)}, ("c", "a")),
    ),
    noise=LogNormal(-4, 1),
)
