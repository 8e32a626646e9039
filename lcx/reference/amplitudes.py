"""Splits the parameters of a prior into amplitudes, in which the mean curve is linear, and the rest; integrates weights out.

f(t) = sum_k w_k f_k(t), and each f_k is linear in some of its own parameters (``Term.linear``): f sees those only through the
products eta = w_k * parameter. In coordinates (eta, rest) the posterior loses its worst ridges: the weights disappear, and given
the rest the likelihood is Gaussian in eta.
"""

import math
from collections.abc import Iterator
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.priors.parametric import Prior, Uniform


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
        self.moving, self.signs = self._structure()
        self.runs = [(m, *self._ends(list(run))) for m, run in groupby(self.terms, key=lambda term: len(term[1]))]

    def _ends(self, run: list[tuple[int, list[int]]]) -> tuple[Float[Tensor, "2 k m"], Float[Tensor, "2 k"]]:
        """The ends of the laws of the linear parameters of some terms, and of their weights."""
        linear = torch.tensor([[self.ranges[i] for i in linear] for _, linear in run], dtype=torch.float64)
        weights = torch.tensor([self.ranges[weight] for weight, _ in run], dtype=torch.float64)
        return linear.movedim(-1, 0).contiguous(), weights.movedim(-1, 0).contiguous()

    def split(self, z: Float[Tensor, "*batch dim"]) -> tuple[Float[Tensor, "*batch q"], Float[Tensor, "*batch p"]]:
        """(eta, rest) of latents ``z``."""
        theta = self.prior.parameters(z)
        eta = [theta[..., weight] * theta[..., i] for weight, linear in self.terms for i in linear]
        return torch.stack(eta, -1), z[..., self.rest]

    def log_prior(self, eta: Float[Tensor, "*batch q"], rest: Float[Tensor, "*batch p"]) -> Float[Tensor, "*batch"]:
        """Log density of (eta, rest) up to a constant: p(eta_k) = ∫ w^-m 1{eta_k / w within its laws} dw over the law of w."""
        total = -0.5 * (rest**2).sum(-1)
        for part, m, lows, highs, least, most in self._runs(eta):
            weight = self._least_weight(part, lows, highs, least)
            mass = torch.log(most / weight) if m == 1 else (weight ** (1 - m) - most ** (1 - m)) / (m - 1)
            total = total + torch.where(weight < most, torch.log(mass.clamp(min=1e-300)), -math.inf).sum(-1)
        return total

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

    def still(self, t: Float[Tensor, "*batch T"]) -> Float[Tensor, "*batch q T"]:
        """What of the design no ``rest`` changes: design = still + signs @ columns."""
        design = self.design(t.new_zeros(*t.shape[:-1], len(self.rest)), t)
        columns = design[..., self.moving, :]
        return design - self.signs.to(design) @ columns

    def columns(self, rest: Float[Tensor, "*batch p"], t: Float[Tensor, "*#batch T"]) -> list[Float[Tensor, "*batch T"]]:
        """Those rows of the design from which the others follow, ``moving``."""
        theta, found, begin = {i: self.laws[i](rest[..., k])[..., None] for k, i in enumerate(self.rest)}, [], 0
        for term, (weight, linear) in zip(self.prior.terms, self.terms, strict=True):
            for k in self.moving:
                if begin <= k < begin + len(linear):
                    theta |= {i: rest.new_tensor(float(begin + j == k)) for j, i in enumerate(linear)}
                    found.append(term.family(t, **{name: theta[weight + 1 + i] for i, name in enumerate(term.parameters)}))
            begin += len(linear)
        return found

    def _structure(self) -> tuple[list[int], Float[Tensor, "q m"]]:
        """Rows of the design that depend on ``rest``, and how all others follow from them up to what does not.

        Of a family whose rows sum to what no ``rest`` changes, as where it runs from one parameter to another, the first row is that
        less the others. Tested on a few ``rest``, since families are functions whose formula is not seen.
        """
        generator = torch.Generator().manual_seed(0)
        rest = torch.randn(16, len(self.rest), generator=generator, dtype=torch.float64)
        design = self.design(rest, torch.arange(1.0, 101.0, dtype=torch.float64).expand(16, -1))

        def fixed(row: Tensor) -> bool:
            return bool(((row - row[:1]).abs() <= 1e-12 * row.abs().amax().clamp(min=1)).all())

        moving, dependent, begin = list[int](), list[tuple[int, list[int]]](), 0
        for _, linear in self.terms:
            rows = [k for k in range(begin, begin + len(linear)) if not fixed(design[:, k])]
            if len(rows) > 1 and fixed(design[:, rows].sum(1)):
                dependent.append((rows[0], rows[1:]))
                rows = rows[1:]
            moving, begin = moving + rows, begin + len(linear)
        signs = torch.zeros(design.shape[1], len(moving), dtype=torch.float64)
        for j, k in enumerate(moving):
            signs[k, j] = 1
            for first, others in dependent:
                signs[first, j] = -float(k in others)
        return moving, signs

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
        terms = iter(self.terms)
        for part, m, lows, highs, least, most in self._runs(eta):
            lower = self._least_weight(part, lows, highs, least)
            for k in range(part.shape[-2]):
                weight, linear = next(terms)
                u = torch.rand(part.shape[:-2], generator=generator, dtype=part.dtype, device=part.device)
                low, high = lower[..., k], most[k]
                if m == 1:
                    theta[..., weight] = low * (high / low) ** u
                else:
                    theta[..., weight] = (low ** (1 - m) + u * (high ** (1 - m) - low ** (1 - m))) ** (1 / (1 - m))
                theta[..., linear] = part[..., k, :] / theta[..., weight, None]
        return theta

    def _runs(self, eta: Float[Tensor, "*batch q"]) -> Iterator[tuple[Float[Tensor, "*batch k m"], int, Tensor, Tensor, Tensor, Tensor]]:
        """Terms in a row of one number m of amplitudes at once: those, m, the ends of their laws (k, m) and of their weights' (k)."""
        begin = 0
        for m, ends, weights in self.runs:
            part = eta[..., begin : (begin := begin + ends[0].numel())].unflatten(-1, (-1, m))
            (low, high), (least, most) = ends.to(eta), weights.to(eta)
            yield part, m, low, high, least, most

    @staticmethod
    def _least_weight(eta: Float[Tensor, "*batch k m"], lows: Tensor, highs: Tensor, least: Tensor) -> Float[Tensor, "*batch k"]:
        """The smallest weight w for which every eta / w lies within its law; inf where there is none."""
        # Where low = 0 no weight will do; a division by 0 would turn gradients into NaN.
        needed = torch.where(eta >= 0, eta / highs, eta / lows.clamp(max=-1e-300)).amax(-1)
        return torch.maximum(needed, least.clamp(min=1e-12))
