"""The prior "general": learning curves as they are logged, of any scale, direction and grid.

A curve is a rise over one or two time scales, plus what real runs add: a first transient, decline after the peak, jumps, annealing at
the end, divergence, wandering and correlated residuals, noise that changes, heavy tails, spikes, rounding, hard bounds. Each ingredient is
a law in ``lcx/priors/laws.py`` and a line of the functions below. There is no tractable likelihood: only a PFN learns this prior.

Larger is better throughout. The overall scale is arbitrary, since the general model reads nothing but ratios. Source: ours; where the
numbers come from is in ``lcx/priors/laws.py``.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lcx.curves import Curves
from lcx.pfn.features import Frame
from lcx.priors.laws import KINDS, LAWS, PARTS, Law
from lcx.priors.parametric import PARAMETRIC

FREQUENCIES = 24  # random Fourier features per wandering component


class Simulated(NamedTuple):
    """Curves without white noise, and what makes them noisy; (n, L) unless said otherwise, NaN steps where padded."""

    steps: Float[Tensor, "n L"]  # model steps, the last one 100
    base: Float[Tensor, "n L"]
    sd: Float[Tensor, "n L"]  # of white noise
    heavy: Bool[Tensor, "n 1"]
    spike: Float[Tensor, "n 2"]  # chance and size
    grid: Float[Tensor, "n 1"]  # rounded to multiples; 0 for none
    lower: Float[Tensor, "n 1"]
    upper: Float[Tensor, "n 1"]
    frame: Frame  # what is told

    def observe(self, base: Tensor, sd: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy values of ``base`` and ``sd`` gathered from curves, (n, ...)."""

        def wide(x: Tensor) -> Tensor:
            return x.reshape(len(base), *[1] * (base.dim() - 1))

        like = {"generator": generator, "device": base.device}
        noise = torch.randn(base.shape, **like)
        tail = (torch.randn((3, *base.shape), **like) ** 2).mean(0).clamp(min=1e-3)
        noise = torch.where(wide(self.heavy), 0.6 * noise / tail.sqrt(), noise)
        y = base + sd * noise
        chance, size = (wide(x) for x in self.spike.unbind(1))
        hit, side = torch.rand(base.shape, **like) < chance, torch.rand(base.shape, **like)
        y = y - torch.where(hit, size * torch.where(side < 0.8, 1.0, -0.5) * -torch.log(torch.rand(base.shape, **like)), 0.0)
        step = wide(self.grid)
        y = torch.where(step > 0, (y / step.clamp(min=1e-30)).round() * step, y)
        return torch.minimum(torch.maximum(y, wide(self.lower)), wide(self.upper))


@dataclass(frozen=True)
class GeneralPrior:
    """See the module's docstring.

    Attributes:
        name: the name by which ``lcx.sample_prior`` and checkpoints refer to it.
        laws: the law of each ingredient.
        kinds: kinds of curves, each with its share and the laws in which it differs; the rest of the shares is of the plain laws.
        crossed: share of curves whose parts (``lcx.priors.laws.PARTS``) are of kinds drawn one by one: the grid of one, say, with the rise
            of another and the noise of a third. Curves of a domain that no kind was made after are more like these.
    """

    name: str = "general"
    laws: dict[str, Law] = field(default_factory=lambda: LAWS)
    kinds: tuple[tuple[float, dict[str, Law]], ...] = KINDS
    crossed: float = 0.5

    @property
    def dim(self) -> int:
        """Latents per curve, apart from those of noise and wandering: of the kind, of crossing, of each part's kind, of each ingredient."""
        return 3 + len(PARTS) + len(self.laws)

    def draw(self, n: int, generator: torch.Generator) -> Float[Tensor, "n dim"]:
        """Latents of ``n`` curves."""
        return torch.randn(n, self.dim, generator=generator, device=generator.device)

    def parameters(self, z: Float[Tensor, "n dim"]) -> dict[str, Tensor]:
        """Each ingredient's value, (n, 1)."""
        kind, crossing, parts, own = z.split([1, 1, 1 + len(PARTS), len(self.laws)], 1)
        place = torch.special.ndtr(torch.where(torch.special.ndtr(crossing) < self.crossed, parts, kind))
        values: dict[str, Tensor] = {}
        places: dict[str, Tensor] = {}
        part, start = 0, 0.0
        for i, (name, law) in enumerate(self.laws.items()):
            part += name in PARTS
            values[name], places[name] = law(own[:, i : i + 1]), place[:, part : part + 1]
        for share, laws in self.kinds:
            for i, name in enumerate(self.laws):
                if name in laws:
                    chosen = (places[name] >= start) & (places[name] < start + share)
                    values[name] = torch.where(chosen, laws[name](own[:, i : i + 1]), values[name])
            start += share
        return values

    def simulate(self, z: Float[Tensor, "n dim"], lengths: Tensor, generator: torch.Generator) -> Simulated:
        """Curves of the latents ``z`` with ``lengths`` (n,) points each, larger being better, in units of the rise."""
        p = self.parameters(z)
        longest = int(lengths.max())
        index = torch.arange(1.0, longest + 1, device=z.device).expand(len(z), -1)
        count = lengths[:, None].to(index.dtype)
        inside = index <= count
        c = (index / count).clamp(max=1)
        t, start = _grid(p, c, count, inside, generator)
        rise, left = _progress(p, t, count, start)
        base = rise + _extras(p, c, count)
        slow = wander(c, p["wander_length"], p["wander_rough"], generator)
        quick = wander(index, p["correlation"], torch.ones_like(p["wander_rough"]), generator)
        noise = torch.where(p["flat"], p["flat_noise"], p["noise"]) * torch.exp(p["noise_early"] * (0.5 - c))
        noise = noise + torch.where(p["flat"], 0.0, p["noise_rise"]) * left
        base = base + p["wander"] * torch.where(p["flat"], p["flat_noise"] * 10, 1.0) * slow + p["correlated"] * noise * quick
        calm = torch.where(p["walk"], p["walk_calm"], 1.0)
        steps_taken = _walk(c, count, p["walk_growth"], generator)
        base = base * calm + p["walk"] * p["walk_size"] * torch.where(p["flat"], 3 * p["flat_noise"], 1.0) * steps_taken
        noise = noise * calm
        base, noise = _turned(p, base, noise, index, count)
        dead = p["constant"] & (c < p["constant_until"])
        # The first point's value is held: what is constant has no noise either.
        begun = (~dead).int().argmax(1, keepdim=True)
        base = torch.where(dead, base.gather(1, begun), base)
        noise = torch.where(dead, 0.0, noise)
        old = p["parametric"][:, 0].nonzero()[:, 0]
        if len(old):
            theta = PARAMETRIC.parameters(PARAMETRIC.draw(len(old), generator))
            t = t.index_put((old,), c[old])
            base = base.index_put((old,), PARAMETRIC.mean_curve(theta, (100 * c[old]).clamp(min=1)))
            noise = noise.index_put((old,), PARAMETRIC.sigma(theta)[:, None].expand(-1, longest))
        ok = inside & base.isfinite() & noise.isfinite()
        base, noise = torch.where(ok, base, 0.0).clamp(-1e6, 1e6), torch.where(ok, noise, 0.0).clamp(max=1e6)
        steps = torch.where(inside, 100 * t, torch.nan)
        return _bounded(p, steps, base, noise, inside, generator)

    def sample(self, n: int, generator: torch.Generator, length: int = 100) -> Curves:
        """``n`` noisy curves of ``length`` points, horizon 100, in arbitrary units, larger being better."""
        drawn = self.simulate(self.draw(n, generator), torch.full((n,), length, device=generator.device), generator)
        values = drawn.observe(drawn.base, drawn.sd, generator)
        return Curves(values, drawn.steps, torch.full((n,), 100.0, device=values.device))


def _grid(p: dict[str, Tensor], c: Tensor, count: Tensor, inside: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Steps as shares of the horizon, increasing to 1, and the first of them."""
    gaps = torch.rand(c.shape, generator=generator, device=c.device)
    gaps = torch.where(p["uneven"], gaps.clamp(min=0.05) ** 2, 1.0) * inside
    place = gaps.cumsum(1)
    place = place / place[:, -1:].clamp(min=1e-6)
    bent = torch.where(p["dense"], 0.15 * place + 0.85 * place**4, place)
    first = torch.minimum(p["first"].clamp(min=1e-5), 1 / count)
    # From the first to the last step evenly in log step.
    along = ((place - place[:, :1]) / (1 - place[:, :1]).clamp(min=1e-6)).clamp(0, 1)
    t = torch.where(p["geometric"], torch.exp(torch.log(first) * (1 - along)), bent).clamp(1e-6, 1)
    early = t[:, :1] * torch.where(p["untrained"] & ~p["geometric"], p["untrained_at"].clamp(1e-5, 1), 1.0)
    return torch.cat([early, t[:, 1:]], 1), torch.where(p["geometric"], first, 1 / count)


def _progress(p: dict[str, Tensor], t: Tensor, count: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The rise after its link, about 1 in size, and the share still to come."""
    tau = torch.where(p["geometric"], torch.exp(torch.log(start) * (1 - p["tau_place"])), p["tau"]).clamp(1e-7, 1e3)
    x = t / tau
    power = 1 - (1 + x) ** -p["shape"].clamp(max=4)
    stretched = 1 - torch.exp(-(x ** p["shape"].clamp(max=2.5)))
    hill = 1 / (1 + (10 * x.clamp(min=1e-9)) ** -p["steep"].clamp(max=8))
    first = torch.where(p["slow"], hill, torch.where(p["power"], power, stretched))
    weight = p["second"].clamp(0, 0.9)
    g = (1 - weight) * first + weight * (1 - torch.exp(-t / p["tau_2"].clamp(min=1e-5)))
    begin, end = g[:, :1], g.gather(1, (count - 1).long())
    g = torch.where((end - begin).abs() > 1e-4, (g - begin) / (end - begin).clamp(min=1e-4), 0.0)
    s = p["stretch"].clamp(max=12)
    loss = (1 - torch.exp(-s * g)) / (1 - torch.exp(-s))
    low, high = torch.sigmoid(p["level"] - s / 2), torch.sigmoid(p["level"] + s / 2)
    accuracy = (torch.sigmoid(p["level"] + s * (g - 0.5)) - low) / (high - low).clamp(min=1e-6)
    f = torch.where(p["link"] < 0.5, g, torch.where(p["link"] < 0.8, loss, accuracy))
    f = torch.where(p["falls"], -f, f)
    f = torch.where(p["flat"], 0.0, f)
    return f, (1 - g).clamp(0, 1)


def _extras(p: dict[str, Tensor], c: Tensor, count: Tensor) -> Tensor:
    """First transient, decline, jump, annealing and divergence, to be added to the rise."""

    def after(start: Tensor) -> Tensor:
        return ((c - start) / (1 - start).clamp(min=0.02)).clamp(0, 1)

    total = -p["transient_size"] * torch.exp(-(c * count - 1) / p["transient_tau"]) * p["transient"]
    late = after(p["decline_start"].clamp(0, 0.98))
    goes_on = late ** p["decline_shape"].clamp(0.2, 3)
    ends = 1 - torch.exp(-6 * late * p["decline_shape"])
    total = total - p["decline"] * p["decline_size"] * torch.where(p["decline_ends"], ends, goes_on)
    since = (c - p["jump_at"].clamp(0.02, 1)).clamp(min=0)
    total = total + p["jump"] * p["jump_size"] * (1 - torch.exp(-since / p["jump_tau"]))
    start = p["anneal_start"].clamp(0.1, 0.95)
    annealed = ((c - start) / (p["anneal_end"] - start).clamp(min=0.05)).clamp(0, 1)
    total = total + p["anneal"] * p["anneal_size"] * annealed**1.4
    since = (c - p["diverge_at"].clamp(0, 1)).clamp(min=0)
    fall = p["diverge_size"].clamp(max=1e4) * (1 - torch.exp(-since / p["diverge_tau"]))
    fall = fall * torch.where(p["recovers"], torch.exp(-since / p["recover_tau"]), 1.0)
    return total - p["diverge"] * fall


def _turned(p: dict[str, Tensor], base: Tensor, noise: Tensor, index: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """All changes and noise after a point times a factor, so that a short prefix is not sure of the unit or sign of what follows."""
    at = (2 * (0.1 * count).clamp(min=1) ** p["turn_at"]).floor()
    later = p["turn"] & (index > at)
    start = base.gather(1, torch.minimum(at, count).long() - 1)
    size = torch.where(p["turn_back"], -p["turn_size"], p["turn_size"])
    return torch.where(later, start + size * (base - start), base), torch.where(later, p["turn_size"] * noise, noise)


def wander(place: Tensor, length: Tensor, rough: Tensor, generator: torch.Generator) -> Tensor:
    """A Gaussian process of unit variance, exponential (rough) or squared-exponential covariance, by random Fourier features.

    Source: Rahimi & Recht, NeurIPS 2007; the frequencies of the exponential covariance are Cauchy.
    """
    n, device = len(place), place.device
    like = {"generator": generator, "device": device}
    normal = torch.randn(n, FREQUENCIES, **like)
    cauchy = (normal / torch.randn(n, FREQUENCIES, **like)).clamp(-1e3, 1e3)
    omega = torch.where(rough, cauchy, normal) / length.clamp(min=1e-3)
    phase = 2 * math.pi * torch.rand(n, FREQUENCIES, **like)
    size = torch.randn(n, FREQUENCIES, **like) * (2 / FREQUENCIES) ** 0.5
    return (torch.cos(place[..., None] * omega[:, None] + phase[:, None]) * size[:, None]).sum(-1)


def _walk(c: Tensor, count: Tensor, growth: Tensor, generator: torch.Generator) -> Tensor:
    """Sums of Student-t changes of 2 degrees of freedom, whose size itself drifts; about 1 over all points."""
    like = {"generator": generator, "device": count.device}
    heavy = torch.randn(c.shape, **like) / (torch.randn((2, *c.shape), **like) ** 2).mean(0).clamp(min=1e-2).sqrt()
    size = torch.exp((torch.randn(c.shape, **like) / count.sqrt()).cumsum(1) + growth * (c - 1))
    return (heavy * size).cumsum(1) / count.sqrt()


def _bounded(p: dict[str, Tensor], steps: Tensor, base: Tensor, sd: Tensor, inside: Tensor, generator: torch.Generator) -> Simulated:
    """Adds rounding, bounds and what of them is told."""
    inf = torch.full_like(base[:, :1], math.inf)
    top = torch.where(inside, base + 2 * sd, -math.inf).amax(1, keepdim=True)
    bottom = torch.where(inside, base - 2 * sd, math.inf).amin(1, keepdim=True)
    width = torch.where(top - bottom > 1e-6, top - bottom, 1.0)
    cut = p["cut_off"] & (top - bottom > 1e-6)
    wide = torch.where(p["flat"] & ~p["parametric"], p["flat_room"], 1.0)
    upper = torch.where(p["has_upper"], top + width * torch.where(cut, -0.02, p["room_above"] * wide), inf)
    lower = torch.where(p["has_lower"], bottom - width * torch.where(cut, -0.02, p["room_below"] * wide), -inf)
    told = ~p["walk"] | p["walk_told"] | p["parametric"]
    told_upper, told_lower = torch.where(p["told_upper"] & told, upper, inf), torch.where(p["told_lower"] & told, lower, -inf)
    both = told_upper.isfinite() & told_lower.isfinite()
    fallback = torch.where(both, told_upper - told_lower, width * p["offset"] * wide)
    grid = torch.where(p["rounded"] & ~p["parametric"], p["round_to"] * width, 0.0)
    spike = torch.cat(
        [p["spikes"] * ~p["parametric"] * p["spike_chance"], p["spike_size"] * torch.where(p["flat"], 5 * p["flat_noise"], 1.0)], 1
    )
    frame = Frame(told_lower[:, 0], told_upper[:, 0], fallback[:, 0])
    return Simulated(steps, base, sd, p["heavy"] & ~p["parametric"], spike, grid, lower, upper, frame)
