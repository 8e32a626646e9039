"""The size of the network: its width, depth and heads."""

from dataclasses import dataclass


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
    """

    width: int = 64
    layers: int = 3
    heads: int = 2
    expansion: int = 4
    decoder_layers: int = 2
    components: int = 16
    chart: str = "parametric"
    reader: int = 0
