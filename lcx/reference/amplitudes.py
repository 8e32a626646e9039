"""Splits the parameters of a prior into amplitudes, in which the mean curve is linear, and the rest; integrates weights out.

f(t) = sum_k w_k f_k(t), and each f_k is linear in some of its own parameters (``Term.linear``): f sees those only through the
products eta = w_k * parameter. In coordinates (eta, rest) the posterior loses its worst ridges: the weights disappear, and given
the rest the likelihood is Gaussian in eta.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.priors.parametric import Prior, Uniform

_EDGE = 1 - 1e-6  # of the range of an amplitude; at its end the prior density is 0


class Amplitudes:
    """The coordinates (eta, rest) of a prior; ``rest`` are latents, N(0, 1) under the prior, that of sigma last.

    Raises:
        ValueError: a family without linear parameters, or laws other than U(low, high) with 0 <= low of a weight and
            low <= 0 < high of a linear parameter.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior, names, self.laws = prior, list(prior.laws), list(prior.laws.values())
        self.terms: list[tuple[int, list[int]]] = []  # index of the weight, indices of the linear parameters
        self.ranges: dict[int, tuple[float, float]] = {}  # of both
        for term in prior.terms:
            weight = names.index(f"{term.family.__name__}.weight")
            linear = [weight + 1 + list(term.parameters).index(name) for name in term.linear]
            self.terms.append((weight, linear))
            laws = {i: self.laws[i] for i in (weight, *linear)}
            self.ranges |= {i: (law.low, law.high) for i, law in laws.items() if isinstance(law, Uniform)}
            fits = all(
                i in self.ranges and (self.ranges[i][0] >= 0 if i == weight else self.ranges[i][0] <= 0 < self.ranges[i][1]) for i in laws
            )
            if not linear or not fits:
                raise ValueError(
                    f"expected prior {prior.name!r} of families with linear parameters, all uniform around or above 0, got another law in "
                    f"{term.family.__name__}; declare Term.linear, or use the sampler nuts or emcee"
                )
        used = {i for weight, linear in self.terms for i in (weight, *linear)}
        self.rest = [i for i in range(prior.dim) if i not in used]

    def split(self, z: Float[Tensor, "*batch dim"]) -> tuple[Float[Tensor, "*batch q"], Float[Tensor, "*batch p"]]:
        """(eta, rest) of latents ``z``."""
        theta = self.prior.parameters(z)
        eta = [theta[..., weight] * theta[..., i] for weight, linear in self.terms for i in linear]
        return torch.stack(eta, -1), z[..., self.rest]

    def log_prior(self, eta: Float[Tensor, "*batch q"], rest: Float[Tensor, "*batch p"]) -> Float[Tensor, "*batch"]:
        """Log density of (eta, rest) up to a constant: p(eta_k) = ∫ w^-m 1{eta_k / w within its laws} dw over the law of w."""
        total = -0.5 * (rest**2).sum(-1)
        for (weight, _), part in zip(self.terms, self._by_term(eta), strict=True):
            least, high, m = self._least_weight(part, weight), self.ranges[weight][1], part.shape[-1]
            mass = torch.log(high / least) if m == 1 else (least ** (1 - m) - high ** (1 - m)) / (m - 1)
            total = total + torch.where(least < high, torch.log(mass.clamp(min=1e-300)), -math.inf)
        return total

    def within(self, eta: Float[Tensor, "*batch q"]) -> tuple[Float[Tensor, "*batch q"], Float[Tensor, "*batch"]]:
        """eta mirrored at 0 where it may not be negative, moved to the nearest that a weight explains; and how far that was."""
        ranges = [(self.ranges[i], self.ranges[weight][1]) for weight, linear in self.terms for i in linear]
        low, high = eta.new_tensor([(low * weight, high * weight) for (low, high), weight in ranges]).unbind(-1)
        eta = torch.where(low == 0, eta.abs(), eta)
        near = torch.minimum(torch.maximum(eta, low * _EDGE), high * _EDGE)
        return near, (eta - near).abs().sum(-1)

    def design(self, rest: Float[Tensor, "*batch p"], t: Float[Tensor, "*#batch T"]) -> Float[Tensor, "*batch q T"]:
        """The curves of unit amplitudes: f = eta @ design."""
        theta = {i: self.laws[i](rest[..., k])[..., None, None] for k, i in enumerate(self.rest)}
        blocks = []
        for term, (weight, linear) in zip(self.prior.terms, self.terms, strict=True):
            # Each linear parameter is a column of unit vectors, so that what does not depend on them is computed once.
            theta |= dict(zip(linear, torch.eye(len(linear)).to(rest)[..., None], strict=True))
            values = {name: theta[weight + 1 + i] for i, name in enumerate(term.parameters)}
            blocks.append(term.family(t[..., None, :], **values).expand(*rest.shape[:-1], len(linear), -1))
        return torch.cat(blocks, -2)

    def sigma(self, rest: Float[Tensor, "*batch p"]) -> Float[Tensor, "*batch"]:
        """Standard deviation of the noise."""
        return self.prior.noise(rest[..., -1])

    def join(
        self, eta: Float[Tensor, "*batch q"], rest: Float[Tensor, "*batch p"], generator: torch.Generator
    ) -> Float[Tensor, "*batch dim"]:
        """Parameters theta, with weights drawn from their conditional p(w | eta) ∝ w^-m on [least, high]."""
        theta = rest.new_empty(*rest.shape[:-1], self.prior.dim)
        for k, i in enumerate(self.rest):
            theta[..., i] = self.laws[i](rest[..., k])
        for (weight, linear), part in zip(self.terms, self._by_term(eta), strict=True):
            u = torch.rand(part.shape[:-1], generator=generator, dtype=part.dtype, device=part.device)
            least, high, m = self._least_weight(part, weight), self.ranges[weight][1], len(linear)
            if m == 1:
                theta[..., weight] = least * (high / least) ** u
            else:
                theta[..., weight] = (least ** (1 - m) + u * (high ** (1 - m) - least ** (1 - m))) ** (1 / (1 - m))
            theta[..., linear] = part / theta[..., weight, None]
        return theta

    def _by_term(self, eta: Tensor) -> tuple[Tensor, ...]:
        return eta.split([len(linear) for _, linear in self.terms], -1)

    def _least_weight(self, eta: Tensor, weight: int) -> Tensor:
        """The smallest weight w for which every eta / w lies within its law; inf where there is none."""
        (linear,) = (linear for w, linear in self.terms if w == weight)
        low, high = eta.new_tensor([self.ranges[i] for i in linear]).unbind(-1)
        # Where low = 0 no weight will do; a division by 0 would turn gradients into NaN.
        needed = torch.where(eta >= 0, eta / high, eta / low.clamp(max=-1e-300)).amax(-1)
        return needed.clamp(min=max(self.ranges[weight][0], 1e-12))
