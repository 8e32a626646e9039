"""Settings and their defaults: the size of a network, a pretraining run, the levels of an exported graph. Loads no torch."""

import math
from dataclasses import dataclass, field

# Levels of the quantiles that an exported graph returns: the ends of the 50, 80, 90 and 95 % bands, and the median.
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


@dataclass(frozen=True)
class PFNConfig:
    """Size of a :class:`lcx.pfn.PFN`.

    Attributes:
        width: width of the token states and of the decoder; a multiple of ``heads``.
        layers: causal blocks of the encoder.
        heads: attention heads; few wide ones cost least on a CPU.
        expansion: hidden units of every MLP in multiples of ``width``.
        decoder_layers: residual MLPs of the decoder.
        components: normals in the predictive mixture.
        chart: "parametric" reads values in model units as they are; "general" scales each token by the points up to it.
        reader: width of the reader of the study's other runs, a multiple of 4; 0 for a model without one. Only with the chart "general".
        copies: whether the reader also puts components where other runs were (:mod:`lcx.pfn.reader`).
    """

    width: int = 64
    layers: int = 3
    heads: int = 2
    expansion: int = 4
    decoder_layers: int = 2
    components: int = 16
    chart: str = "parametric"
    reader: int = 0
    copies: bool = False


@dataclass(frozen=True)
class PretrainConfig:
    """Every hyperparameter of a pretraining run.

    Attributes:
        prior: name of the prior that makes the curves.
        model: size of the network.
        start: name of a shipped model, or folder of a model, whose weights the run begins with; None: random weights. Give such a run
            another seed than the run of that model had, else it sees the same curves again. One of the two may lack the reader,
            or its copies: they then start at random, or are left out.
        real: folder of real curves to train on beside those of the general prior; None: none. Its format: :mod:`lcx.pretraining.sources`.
        share: share of the batches that hold real curves, if there are any.
        studies: share of the other batches that hold studies of the prior, whose runs may read one another; the rest holds single curves.
        trained: "all", or "reader": its weights alone change, so that forecasts of single curves stay as they are, to the bit. Needs
            ``studies`` 1, since single curves say nothing to a reader.
        curves: number of training curves; the cosine schedule of the learning rate ends there. Every curve is seen once.
        batch: curves per step, of all ranks together. With the general prior this is the number for curves of 64 points: steps with longer
            curves have fewer of them, steps with shorter ones more.
        pairs: (cut-off, query) pairs scored per curve; with the general prior at most 3 for every 4 points.
        targets: noise draws per pair, one in each of as many equally likely strata. They integrate out most of the noise of the target,
            for the cost of a few more densities.
        irregular: share of curves whose steps are not 1, 2, ..., 100 but evenly spaced, random or dense.
        cutoff_power: a cut-off is drawn as the fraction u**power of the curve, u uniform: above 1, early cut-offs are drawn more often.
        relative: with the general prior, pairs are weighted by (unit of change / range of the whole curve)**relative. Errors then count
            in proportion to a curve's own range, which tilts the prior towards curves that change little compared with what was seen.
        muon_rate: peak learning rate of Muon (Jordan et al. 2024), on the matrices inside blocks and decoder.
        adam_rate: peak learning rate of AdamW, on everything else.
        warmup: steps of linear warm-up.
        clip: largest norm of the gradient.
        precision: "bf16" autocast or "float32"; None: bf16 on CUDA, float32 on a CPU.
        compile: whether to torch.compile the loss; None: on CUDA with a parametric prior (the general one takes minutes to compile).
        seed: of weights and curves.
        validation_curves: held-out curves, the same for every run.
        validate_every: steps between validations.

    Raises:
        ValueError: a number that must be positive is not, or an unknown precision.
    """

    prior: str = "parametric"
    model: PFNConfig = field(default_factory=PFNConfig)
    start: str | None = None
    real: str | None = None
    share: float = 0.5
    studies: float = 0.0
    trained: str = "all"
    curves: int = 4_000_000
    batch: int = 64
    pairs: int = 96
    targets: int = 4
    irregular: float = 0.2
    cutoff_power: float = 1.5
    relative: float = 0.5
    muon_rate: float = 4e-3
    adam_rate: float = 2e-3
    warmup: int = 200
    clip: float = 1.0
    precision: str | None = None
    compile: bool | None = None
    seed: int = 0
    validation_curves: int = 2000
    validate_every: int = 5000

    def __post_init__(self) -> None:
        least = {"validation_curves": 2} | dict.fromkeys(("curves", "batch", "pairs", "targets", "warmup", "validate_every"), 1)
        for name, lowest in least.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"expected {name} >= {lowest}, got {getattr(self, name)}; the defaults are a good start")
        for name in ("share", "studies"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} within 0 and 1, got {getattr(self, name)}; it is a share of the batches")
        if (self.real or self.studies) and not self.model.reader:
            raise ValueError("expected a model with a reader for real curves or studies, got reader=0; write reader=64, say")
        if self.trained not in ("all", "reader"):
            raise ValueError(f"expected trained to be 'all' or 'reader', got {self.trained!r}; write one of these")
        if self.trained == "reader" and self.studies != 1:
            raise ValueError(f"expected studies=1 where the reader alone is trained, got {self.studies}; single curves say nothing to it")
        if self.precision not in (None, "bf16", "float32"):
            raise ValueError(f"expected precision bf16 or float32, got {self.precision!r}; leave it out for what suits the device")

    @property
    def steps(self) -> int:
        """Optimizer steps in the budget."""
        return math.ceil(self.curves / self.batch)
