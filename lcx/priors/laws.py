"""The numbers of the prior "general": a law for every ingredient, and the kinds of curves that differ from it.

Source: ours. The laws began as guesses and were fitted with ``benchmarks/synthetic/prior_fit.py`` to summary statistics of development
curves. Some numbers were then set by hand; benchmarks/LOG.md (2026-11-25) says which, and why.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lcx.priors.parametric import LogNormal, Uniform


@dataclass(frozen=True)
class Share:
    """Map of z ~ N(0, 1) to True with the given probability."""

    chance: float

    def __call__(self, z: Tensor) -> Tensor:
        """Gives the value at z."""
        return torch.special.ndtr(z) < self.chance


@dataclass(frozen=True)
class Normal:
    """Map of z ~ N(0, 1) to N(mean, sd**2)."""

    mean: float
    sd: float

    def __call__(self, z: Tensor) -> Tensor:
        """Gives the value at z."""
        return self.mean + self.sd * z


Law = Uniform | LogNormal | Share | Normal

# Times are shares of the horizon (t) or of the points (c); sizes are in units of the rise, which is 1, unless said otherwise.
LAWS: dict[str, Law] = {
    "parametric": Share(0.12),  # a curve of the parametric prior on an even grid, instead of all but bounds
    # grid
    "geometric": Share(0.25),  # steps spread evenly in log step, as sample sizes are
    "first": LogNormal(-4.5, 1.5),  # first step of a geometric grid
    "uneven": Share(0.15),  # gaps vary
    "dense": Share(0.08),  # many points at the beginning, few later
    "untrained": Share(0.2),  # the first point comes before or right after training begins
    "untrained_at": LogNormal(-3.0, 2.0),  # its step, in units of the next one's
    # the rise
    "flat": Share(0.14),  # no rise at all
    "falls": Share(0.06),  # the rise goes down
    "power": Share(0.50),  # power law, else stretched exponential
    "tau": LogNormal(-2.97, 1.91),  # time constant
    "tau_place": Normal(0.4, 0.45),  # on geometric grids: where between first and last step, in log step
    "shape": LogNormal(-0.21, 0.61),  # exponent of the stretch or of the power law
    "slow": Share(0.14),  # S-shaped start
    "steep": LogNormal(0.89, 0.39),  # exponent of its Hill curve
    "second": Normal(0.1, 0.35),  # weight of a second rise if positive
    "tau_2": LogNormal(-1.07, 1.15),
    "link": Uniform(0, 1),  # below 0.5 linear, below 0.8 exponential (losses), else logistic (accuracies)
    "stretch": LogNormal(0.36, 0.68),  # size of the rise before an exponential or logistic link
    "level": Normal(-0.03, 1.48),  # where a logistic link starts
    # what real runs add, on the scale after the link
    "transient": Share(0.35),  # a first drop unlike the rest
    "transient_size": LogNormal(1.0, 2.0),
    "transient_tau": LogNormal(-0.46, 0.90),  # in points
    "decline": Share(0.17),
    "decline_start": Normal(0.4, 0.3),
    "decline_size": LogNormal(-2.10, 1.17),
    "decline_shape": LogNormal(-0.02, 0.51),
    "decline_ends": Share(0.51),  # it levels off, else it goes on
    "jump": Share(0.10),
    "jump_at": Normal(0.5, 0.3),
    "jump_size": Normal(0.11, 0.30),
    "jump_tau": LogNormal(-4.02, 1.52),
    "anneal": Share(0.24),
    "anneal_start": Normal(0.45, 0.25),
    "anneal_end": Normal(0.95, 0.15),
    "anneal_size": LogNormal(-1.50, 0.90),
    "diverge": Share(0.05),
    "diverge_at": Normal(0.4, 0.35),
    "diverge_size": LogNormal(1.20, 2.02),
    "diverge_tau": LogNormal(-3.56, 1.52),
    "recovers": Share(0.32),
    "recover_tau": LogNormal(-2.00, 0.98),
    "walk": Share(0.22),  # returns and unstable runs: a walk of heavy-tailed changes
    "walk_size": LogNormal(-0.2, 1.2),  # of all its changes together
    "walk_growth": Normal(2.0, 2.0),  # log of the size of its changes at the end against the beginning
    "walk_calm": LogNormal(-1.5, 1.5),  # times this is everything else in such a curve
    "walk_told": Share(0.3),  # bounds are told of such a curve, if of any
    "turn": Share(0.40),  # the first points tell little of the rest: what follows is stretched, and may change sign
    "turn_at": Uniform(0, 1),  # between point 2 and the 20th of a hundred, evenly in the logarithm
    "turn_size": LogNormal(0.8, 1.5),
    "turn_back": Share(0.35),
    "wander": LogNormal(-3.65, 1.30),  # standard deviation of slow residuals
    "wander_length": LogNormal(-1.17, 1.04),  # their correlation length, in c
    "wander_rough": Share(0.49),  # like a random walk, else smooth
    "noise": LogNormal(-5.09, 1.90),
    "flat_noise": LogNormal(-0.01, 0.30),  # where nothing rises noise is the unit
    "noise_early": Normal(0.29, 1.00),  # log of noise at the beginning against the end, spread over c
    "noise_rise": LogNormal(-4.14, 1.41),  # more noise in proportion to what is still to rise
    "correlated": LogNormal(-1.55, 1.26),  # correlated noise in units of noise
    "correlation": LogNormal(0.72, 0.82),  # its length in points
    "heavy": Share(0.25),  # Student-t noise of 3 degrees of freedom
    "spikes": Share(0.08),
    "spike_chance": LogNormal(-3.24, 0.71),
    "spike_size": LogNormal(-0.50, 1.80),
    "constant": Share(0.07),  # exactly constant at first
    "constant_until": LogNormal(-1.79, 0.79),
    "rounded": Share(0.08),
    "round_to": LogNormal(-3.97, 1.23),  # in units of the range
    # bounds, distances in units of the range
    "has_upper": Share(0.55),
    "room_above": LogNormal(-0.94, 1.76),
    "has_lower": Share(0.35),
    "room_below": LogNormal(-0.57, 1.81),
    "flat_room": LogNormal(2.5, 1.5),  # times this where nothing rises: chance level and plateaus are far from the bounds
    "cut_off": Share(0.09),  # the bound is reached
    "told_upper": Share(0.75),
    "told_lower": Share(0.75),
    "offset": LogNormal(1.0, 1.8),  # |value| of the metric, if no bound is told
}

# At each of these a new part begins; the laws of a part come from one kind even where those of other parts come from others.
PARTS = ("geometric", "flat", "transient", "walk", "wander", "has_upper")

# Found by clustering real curves by shape, not by source; standard deviations are 1.5 times those found, for curves of domains
# that were not among them (benchmarks/LOG.md, 2026-11-26). The rest follows LAWS alone.
# fmt: off
KINDS: tuple[tuple[float, dict[str, Law]], ...] = (
    (0.084, {
        "geometric": Share(0.02), "untrained": Share(0.97), "untrained_at": LogNormal(-6.80, 0.59), "flat": Share(0.02),
        "tau": LogNormal(-2.05, 1.90), "shape": LogNormal(-0.55, 0.77), "slow": Share(0.02), "steep": LogNormal(0.80, 0.42),
        "second": Normal(0.08, 0.33), "tau_2": LogNormal(-0.39, 1.57), "stretch": LogNormal(-0.09, 1.00), "transient": Share(0.97),
        "transient_size": LogNormal(2.40, 1.31), "transient_tau": LogNormal(-0.23, 0.82), "decline_start": Normal(0.50, 0.36),
        "decline_size": LogNormal(-3.04, 1.62), "decline_shape": LogNormal(-0.13, 0.53), "decline_ends": Share(0.65),
        "jump_size": Normal(-0.01, 0.30), "diverge_at": Normal(0.51, 0.44), "recovers": Share(0.18), "wander": LogNormal(-4.57, 1.51),
        "wander_length": LogNormal(-0.75, 1.16), "wander_rough": Share(0.61), "noise": LogNormal(-6.56, 1.20),
        "flat_noise": LogNormal(0.05, 0.62), "noise_early": Normal(-0.13, 0.82), "noise_rise": LogNormal(-5.73, 1.09),
        "correlated": LogNormal(-0.96, 1.96), "correlation": LogNormal(1.29, 1.27), "heavy": Share(0.41),
        "spike_chance": LogNormal(-2.90, 0.68), "spike_size": LogNormal(0.39, 1.79), "constant_until": LogNormal(-1.65, 0.90),
        "round_to": LogNormal(-3.33, 1.77), "room_above": LogNormal(-2.99, 1.22), "room_below": LogNormal(-7.98, 1.49),
    }),
    (0.083, {
        "geometric": Share(0.02), "first": LogNormal(-4.43, 1.73), "untrained": Share(0.92), "untrained_at": LogNormal(-6.28, 1.22),
        "flat": Share(0.02), "power": Share(0.79), "tau": LogNormal(-1.65, 1.72), "tau_place": Normal(0.19, 0.82),
        "shape": LogNormal(-0.24, 0.72), "slow": Share(0.02), "steep": LogNormal(1.12, 0.53), "second": Normal(0.22, 0.53),
        "tau_2": LogNormal(-1.33, 1.40), "level": Normal(-0.79, 2.02), "transient": Share(0.78), "transient_size": LogNormal(0.68, 1.33),
        "transient_tau": LogNormal(1.26, 1.16), "decline_size": LogNormal(-2.52, 2.18), "jump_size": Normal(0.22, 0.36),
        "jump_tau": LogNormal(-3.64, 2.39), "diverge_at": Normal(0.49, 0.48), "diverge_size": LogNormal(0.46, 3.03),
        "diverge_tau": LogNormal(-4.36, 2.07), "recovers": Share(0.12), "recover_tau": LogNormal(-2.21, 1.40),
        "wander": LogNormal(-4.15, 1.37), "wander_length": LogNormal(-0.89, 1.22), "wander_rough": Share(0.60),
        "noise": LogNormal(-6.64, 1.30), "flat_noise": LogNormal(-0.07, 0.40), "noise_early": Normal(-0.10, 0.91),
        "noise_rise": LogNormal(-6.80, 1.49), "correlated": LogNormal(-1.01, 2.02), "correlation": LogNormal(0.33, 1.33),
        "spike_chance": LogNormal(-2.89, 0.86), "spike_size": LogNormal(-0.35, 1.68), "room_above": LogNormal(-1.44, 0.62),
        "room_below": LogNormal(-6.91, 1.03),
    }),
    (0.080, {
        "geometric": Share(0.12), "untrained": Share(0.02), "flat": Share(0.93), "falls": Share(0.16), "transient": Share(0.18),
        "transient_size": LogNormal(0.51, 2.20), "diverge_at": Normal(0.31, 0.57), "noise": LogNormal(-3.76, 3.20),
        "noise_early": Normal(0.67, 0.99), "noise_rise": LogNormal(-3.48, 2.52), "room_above": LogNormal(2.04, 2.03),
        "room_below": LogNormal(0.01, 1.42),
    }),
    (0.076, {
        "geometric": Share(0.35), "first": LogNormal(-4.91, 2.35), "untrained": Share(0.08), "untrained_at": LogNormal(-3.53, 2.98),
        "flat": Share(0.04), "tau": LogNormal(-1.80, 2.79), "second": Normal(0.19, 0.48), "transient": Share(0.02),
        "transient_size": LogNormal(0.48, 2.42), "decline_shape": LogNormal(-0.13, 0.74), "noise": LogNormal(-2.54, 1.66),
        "noise_early": Normal(-0.24, 1.03), "heavy": Share(0.11), "constant": Share(0.35), "constant_until": LogNormal(-1.92, 0.86),
        "room_above": LogNormal(1.47, 1.59), "room_below": LogNormal(-0.20, 1.56),
    }),
    (0.068, {
        "geometric": Share(0.02), "untrained": Share(0.02), "flat": Share(0.02), "power": Share(0.80), "tau": LogNormal(-4.06, 1.76),
        "shape": LogNormal(-0.56, 0.73), "slow": Share(0.02), "level": Normal(0.28, 1.82), "transient": Share(0.55),
        "transient_size": LogNormal(-0.32, 1.72), "transient_tau": LogNormal(0.17, 1.26), "decline_start": Normal(0.46, 0.38),
        "decline_ends": Share(0.67), "diverge_tau": LogNormal(-3.87, 2.03), "wander": LogNormal(-4.32, 1.37),
        "wander_length": LogNormal(-0.88, 1.43), "wander_rough": Share(0.38), "noise": LogNormal(-5.05, 2.18),
        "noise_early": Normal(-0.04, 1.01), "noise_rise": LogNormal(-4.92, 1.62), "heavy": Share(0.13),
        "room_above": LogNormal(1.86, 0.88),
    }),
    (0.067, {
        "geometric": Share(0.97), "first": LogNormal(-4.82, 1.43), "untrained_at": LogNormal(-2.55, 3.25), "flat": Share(0.02),
        "power": Share(0.62), "shape": LogNormal(-0.43, 0.91), "slow": Share(0.04), "stretch": LogNormal(0.20, 0.96),
        "transient": Share(0.03), "transient_size": LogNormal(0.54, 2.46), "transient_tau": LogNormal(-0.26, 1.46),
        "wander": LogNormal(-3.96, 1.64), "noise": LogNormal(-5.22, 1.99), "noise_rise": LogNormal(-3.52, 1.66),
        "room_above": LogNormal(-0.26, 1.60), "room_below": LogNormal(0.91, 0.83),
    }),
    (0.056, {
        "geometric": Share(0.53), "first": LogNormal(-5.30, 2.08), "untrained": Share(0.02), "flat": Share(0.02), "power": Share(0.64),
        "tau_place": Normal(0.15, 0.44), "shape": LogNormal(-0.23, 0.62), "second": Normal(-0.01, 0.44), "stretch": LogNormal(0.13, 1.09),
        "level": Normal(-0.40, 2.05), "transient": Share(0.47), "transient_size": LogNormal(0.15, 2.21),
        "transient_tau": LogNormal(0.32, 1.49), "decline_size": LogNormal(-1.71, 1.69), "decline_ends": Share(0.40),
        "diverge_at": Normal(0.25, 0.49), "diverge_size": LogNormal(0.62, 2.87), "recovers": Share(0.48), "wander": LogNormal(-4.24, 1.48),
        "wander_length": LogNormal(-0.60, 1.61), "wander_rough": Share(0.23), "noise": LogNormal(-6.80, 2.09),
        "correlated": LogNormal(-1.81, 1.51), "constant_until": LogNormal(-2.11, 1.18), "round_to": LogNormal(-4.18, 1.46),
        "room_above": LogNormal(-0.26, 1.62), "room_below": LogNormal(1.08, 0.68),
    }),
    (0.054, {
        "geometric": Share(0.35), "first": LogNormal(-4.05, 2.22), "untrained": Share(0.10), "falls": Share(0.75),
        "tau_place": Normal(0.56, 0.79), "transient": Share(0.05), "decline": Share(0.44), "decline_size": LogNormal(-1.62, 2.39),
        "diverge": Share(0.55), "diverge_at": Normal(0.59, 0.40), "diverge_size": LogNormal(1.69, 2.57),
        "diverge_tau": LogNormal(-2.69, 1.87), "wander": LogNormal(-3.19, 2.11), "noise": LogNormal(-4.31, 2.47), "constant": Share(0.33),
        "room_above": LogNormal(0.25, 1.46), "room_below": LogNormal(-0.70, 1.96),
    }),
    (0.052, {
        "geometric": Share(0.02), "untrained_at": LogNormal(-3.77, 3.47), "flat": Share(0.02), "falls": Share(0.28), "power": Share(0.37),
        "tau": LogNormal(-3.76, 1.62), "shape": LogNormal(0.05, 0.79), "second": Normal(-0.16, 0.47), "tau_2": LogNormal(-1.67, 2.02),
        "stretch": LogNormal(0.52, 1.09), "transient": Share(0.58), "transient_size": LogNormal(1.53, 3.06),
        "transient_tau": LogNormal(-0.76, 1.70), "diverge_size": LogNormal(0.69, 2.83), "wander": LogNormal(-4.17, 1.51),
        "noise": LogNormal(-3.82, 1.56), "flat_noise": LogNormal(-0.07, 0.44), "correlated": LogNormal(-1.25, 2.09), "heavy": Share(0.13),
        "room_above": LogNormal(1.78, 1.83), "room_below": LogNormal(-3.60, 1.60),
    }),
    (0.040, {
        "geometric": Share(0.02), "untrained": Share(0.02), "untrained_at": LogNormal(-4.80, 1.94), "flat": Share(0.02),
        "power": Share(0.97), "tau": LogNormal(-3.42, 2.46), "tau_place": Normal(0.50, 0.51), "shape": LogNormal(-0.81, 0.51),
        "slow": Share(0.02), "steep": LogNormal(0.65, 0.38), "second": Normal(-0.12, 0.29), "tau_2": LogNormal(-1.46, 1.47),
        "stretch": LogNormal(0.34, 0.74), "level": Normal(0.04, 1.70), "transient": Share(0.97), "transient_size": LogNormal(1.44, 0.33),
        "transient_tau": LogNormal(-1.34, 0.33), "decline_start": Normal(0.31, 0.48), "decline_size": LogNormal(-2.43, 1.22),
        "decline_shape": LogNormal(-0.26, 0.30), "decline_ends": Share(0.72), "jump_at": Normal(0.42, 0.49),
        "jump_size": Normal(0.23, 0.31), "jump_tau": LogNormal(-4.32, 1.77), "diverge_at": Normal(0.39, 0.30),
        "diverge_tau": LogNormal(-4.69, 1.07), "recovers": Share(0.07), "wander": LogNormal(-5.20, 1.07),
        "wander_length": LogNormal(-0.67, 1.03), "noise": LogNormal(-6.86, 1.89), "flat_noise": LogNormal(0.23, 0.52),
        "noise_early": Normal(0.60, 1.16), "noise_rise": LogNormal(-5.49, 1.48), "correlated": LogNormal(-0.97, 0.86),
        "correlation": LogNormal(1.01, 0.66), "heavy": Share(0.15), "spike_chance": LogNormal(-3.18, 0.49),
        "spike_size": LogNormal(-0.36, 1.00), "constant_until": LogNormal(-2.20, 0.79), "round_to": LogNormal(-4.82, 1.23),
        "room_above": LogNormal(-0.88, 0.27), "room_below": LogNormal(-1.06, 2.78),
    }),
    (0.060, {  # by hand: evaluations on a geometric grid that stay near chance, constant before anything is learned
        "geometric": Share(0.90), "first": LogNormal(-7.00, 2.50), "flat": Share(0.70), "noise": LogNormal(-1.80, 1.00),
        "tau_place": Normal(0.80, 0.30), "constant": Share(0.40), "constant_until": LogNormal(-1.20, 0.60), "walk": Share(0.05),
        "diverge": Share(0.02), "spikes": Share(0.02), "rounded": Share(0.30), "flat_room": LogNormal(2.20, 1.00),
    }),
    (0.060, {  # by hand: returns that take off or collapse after a calm start
        "geometric": Share(0.02), "untrained": Share(0.02), "walk": Share(0.90), "walk_growth": Normal(3.00, 2.00),
        "walk_size": LogNormal(0.50, 1.00), "transient": Share(0.05), "flat": Share(0.30), "parametric": Share(0.00),
    }),
)
# fmt: on
