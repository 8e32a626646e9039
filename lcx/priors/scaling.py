"""The prior "scaling": losses over the size of a training set, a budget or a network, and their logarithms.

loss = ((excess^s + floor^s)^(1/s)) times humps, wandering and noise. The excess is a power law of no, one or two smooth breaks, which may
level off at the start, where nothing is learned yet; the sharpness s is 1 where the floor is simply added, and larger where something else
than the data, such as the size of the network, suddenly limits the loss. Steps lie evenly in log step, or evenly. Half of the curves are
the loss, with zero as its bound, and half its logarithm, without bounds.

Sources of the shapes: the power law with a floor is M2, the one that levels off at the start resembles M4 of Alabdulmohsin, Neyshabur and
Zhai (NeurIPS 2022); smooth breaks are those of Caballero et al., "Broken Neural Scaling Laws" (ICLR 2023). The numbers are ours: guesses,
wide enough for what is published of exponents and floors (benchmarks/LOG.md, 2026-11-30).
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from lcx.pfn.features import Frame
from lcx.priors.general import GeneralPrior, Simulated, wander
from lcx.priors.laws import Law, Normal, Share
from lcx.priors.parametric import LogNormal, Uniform

# Logarithms are natural. Places are shares of the way from the first to the last step, in log step.
SCALING: dict[str, Law] = {
    "ordinary": Share(0.3),  # a curve of the general prior instead, for what no law has
    "even": Share(0.4),  # steps evenly spaced, else evenly in log step
    "reach": Uniform(1.4, 9),  # log of the last over the first step
    "uneven": Share(0.3),  # gaps vary
    # the excess
    "slope": LogNormal(-0.9, 0.8),  # exponent of the power law at its start
    "break_1": Share(0.5),
    "break_1_at": Uniform(-0.05, 1.1),
    "break_1_ratio": LogNormal(0.0, 0.9),  # of the exponent after the break to that before
    "break_1_width": LogNormal(-1.0, 0.9),  # in log step
    "break_2": Share(0.2),
    "break_2_at": Uniform(-0.05, 1.1),
    "break_2_ratio": LogNormal(0.0, 0.9),
    "break_2_width": LogNormal(-1.0, 0.9),
    "turns": Share(0.04),  # from the first break on the loss rises
    "plateau": Share(0.45),  # it levels off at the start
    "plateau_height": Normal(0.3, 1.2),  # log of that level over what the power law has at the first step
    "plateau_steeper": LogNormal(0.7, 0.5),  # such curves are S-shaped in log step, and fall faster once they do
    "plateau_sharp": LogNormal(0.0, 0.5),
    # the floor
    "floor": Share(0.85),
    "floor_size": LogNormal(1.0, 2.0),  # in units of the excess at the last step
    "sharp": Share(0.4),  # s above 1
    "sharpness": LogNormal(0.3, 0.8),  # s - 1
    # what is measured
    "hump": Share(0.06),  # double descent
    "hump_size": LogNormal(-1.5, 0.8),  # in log loss
    "hump_at": Uniform(0, 1),
    "hump_width": LogNormal(-0.7, 0.6),  # in log step
    "wander": LogNormal(-5.1, 1.3),  # standard deviation of slow residuals, in log loss
    "wander_length": LogNormal(-1.0, 0.8),
    "wander_rough": Share(0.5),
    "exact": Share(0.08),  # no noise
    "noise": LogNormal(-5.1, 1.4),  # in log loss
    "noise_early": Normal(0.3, 0.6),  # log of noise at the beginning against the end
    "heavy": Share(0.15),  # Student-t noise of 3 degrees of freedom
    # what is told
    "logarithm": Share(0.5),  # the curve is log loss
    "told_zero": Share(0.85),
    "told_top": Share(0.25),  # a bound above, as of error rates
    "room": LogNormal(-0.5, 1.5),  # from the largest value to it, in units of that value
    "offset": LogNormal(1.0, 1.8),  # |value| of the metric in units of its range, if no bound is told
}
_GENERAL = GeneralPrior()
_DEEPEST = 7.0  # fall of log loss from the first step to the last; a thousandfold fall is rare


@dataclass(frozen=True)
class ScalingPrior(GeneralPrior):
    """See the module's docstring. Latents and laws are those of :class:`lcx.priors.general.GeneralPrior`; there are no kinds."""

    name: str = "scaling"
    laws: dict[str, Law] = field(default_factory=lambda: SCALING)
    kinds: tuple[tuple[float, dict[str, Law]], ...] = ()

    def simulate(self, z: Float[Tensor, "n dim"], lengths: Tensor, generator: torch.Generator) -> Simulated:
        """Curves of the latents ``z`` with ``lengths`` (n,) points each, larger being better, in units of the loss at the first step."""
        p = self.parameters(z)
        index = torch.arange(1.0, int(lengths.max()) + 1, device=z.device).expand(len(z), -1)
        count = lengths[:, None].to(index.dtype)
        inside = index <= count
        place = _places(p, index, inside, generator)
        log_step = _log_steps(p, place, count)
        reach = -log_step[:, :1]
        slow = wander(1 + log_step / reach, p["wander_length"], p["wander_rough"], generator)
        loss = self.log_loss(p, log_step, count) + p["wander"] * slow
        loss = (loss - loss[:, :1]).clamp(-_DEEPEST, _DEEPEST)
        noise = torch.where(p["exact"], 0.0, p["noise"] * torch.exp(p["noise_early"] * (0.5 - place)))
        base = -torch.where(p["logarithm"], loss, torch.exp(loss))
        noise = torch.where(p["logarithm"], noise, noise * torch.exp(loss))
        base, noise = torch.where(inside, base, 0.0), torch.where(inside, noise, 0.0)
        law = _told(p, torch.where(inside, 100 * torch.exp(log_step), torch.nan), base, noise, inside)
        other = _GENERAL.simulate(_GENERAL.draw(len(z), generator), lengths, generator)
        frame = Frame(*(torch.where(p["ordinary"][:, 0], *both) for both in zip(other.frame, law.frame, strict=True)))
        return Simulated._make([*(torch.where(p["ordinary"], *both) for both in zip(other[:-1], law[:-1], strict=True)), frame])

    def log_loss(self, p: dict[str, Tensor], log_step: Float[Tensor, "n L"], count: Float[Tensor, "n 1"]) -> Float[Tensor, "n L"]:
        """Log loss at log steps, of which the last is 0, in units of the excess there; without wandering and noise."""
        first = log_step[:, :1]
        steepest = _DEEPEST / -first
        slope = torch.minimum(p["slope"] * torch.where(p["plateau"], p["plateau_steeper"], 1.0), steepest)
        excess = -slope * log_step
        for name in ("break_1", "break_2"):
            after = slope * p[f"{name}_ratio"] * (torch.where(p["turns"], -0.5, 1.0) if name == "break_1" else 1.0)
            after = torch.where(p[name], torch.minimum(torch.maximum(after, -steepest), steepest), slope)
            width = p[f"{name}_width"]
            excess = excess - (after - slope) * width * softplus((log_step - first * (1 - p[f"{name}_at"])) / width)
            slope = after
        excess = excess - excess.gather(1, (count - 1).long())
        level, sharp = excess[:, :1] + p["plateau_height"], p["plateau_sharp"]
        excess = torch.where(p["plateau"], -torch.logaddexp(-sharp * excess, -sharp * level) / sharp, excess)
        s = torch.where(p["sharp"], 1 + p["sharpness"], 1.0)
        loss = torch.where(p["floor"], torch.logaddexp(s * excess, s * torch.log(p["floor_size"])) / s, excess)
        away = (log_step - first * (1 - p["hump_at"])) / p["hump_width"]
        return loss + p["hump"] * p["hump_size"] * torch.exp(-(away**2) / 2)


def _places(p: dict[str, Tensor], index: Tensor, inside: Tensor, generator: torch.Generator) -> Tensor:
    """Where each point lies between the first, 0, and the last, 1."""
    gaps = torch.rand(index.shape, generator=generator, device=index.device).clamp(min=0.05)
    along = (torch.where(p["uneven"], gaps, 1.0) * inside).cumsum(1)
    return (along - along[:, :1]) / (along[:, -1:] - along[:, :1]).clamp(min=1e-6)


def _log_steps(p: dict[str, Tensor], place: Tensor, count: Tensor) -> Tensor:
    """Log of each step over the last one."""
    first = torch.maximum(torch.exp(-p["reach"]), 1 / count)  # an even grid begins at its first gap, or later
    return torch.where(p["even"], torch.log(first + (1 - first) * place), -p["reach"] * (1 - place))


def _told(p: dict[str, Tensor], steps: Tensor, base: Tensor, noise: Tensor, inside: Tensor) -> Simulated:
    """Adds bounds, and what of them is told."""
    inf, none = torch.full_like(base[:, :1], math.inf), torch.zeros_like(base[:, :1])
    worst = torch.where(inside, base - noise, math.inf).amin(1, keepdim=True)
    best = torch.where(inside, base, -math.inf).amax(1, keepdim=True)
    upper = torch.where(p["logarithm"], inf, none)
    lower = torch.where(p["told_top"] & ~p["logarithm"], worst * (1 + p["room"]), -inf)
    told = torch.where(p["told_zero"], upper, inf)
    width = torch.where(told.isfinite() & lower.isfinite(), told - lower, (best - worst).clamp(min=1e-6) * p["offset"])
    spikes, heavy = torch.cat([none, none], 1), p["heavy"]
    return Simulated(steps, base, noise, heavy, spikes, none, lower, upper, Frame(lower[:, 0], told[:, 0], width[:, 0]))
