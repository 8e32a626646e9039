"""The PFN: a causal transformer over observed points with a light decoder for later steps, top to bottom.

- One token per observed point; causal attention, so the state after point n is a summary of points 1..n and one encoding of a
  whole curve serves every cut-off.
- Padding stands on the right of a curve, where the causal mask keeps it out of every real state; in a batch that grows by
  ``append`` it can come to stand inside, and there the ``seen`` mask hides it.
- The decoder maps (state at the cut-off, query step) to a mixture of normals in location and units it chooses per query: the
  location starts from the last value and the spread from one learned scale, so near-constant curves cost no resolution.
- ``append`` adds one token against cached keys and values.

Shape letters: B curves, L tokens, P (cut-off, query) pairs, D width, H heads, F features, K components.
Source: LC-PFN (Adriaensen et al., NeurIPS 2023, arXiv 2310.20447) for the idea of a PFN on curves; the causal layout, the features and
the decoder are ours, chosen by the measurements in benchmarks/LOG.md.
"""

from dataclasses import asdict, dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lcx.context import Cache, Context
from lcx.predictive import Predictive

_SMALLEST_SCALE = 1e-4  # model units; the prior's sigma is below this in fewer than 1 of 10^7 draws


@dataclass(frozen=True)
class PFNConfig:
    """Size of a :class:`PFN`.

    Attributes:
        width: width of the token states and of the decoder; a multiple of ``heads``.
        layers: causal blocks of the encoder.
        heads: attention heads; few wide ones cost least on a CPU.
        expansion: hidden units of every MLP in multiples of ``width``.
        decoder_layers: residual MLPs of the decoder.
        components: normals in the predictive mixture.
    """

    width: int = 64
    layers: int = 3
    heads: int = 2
    expansion: int = 4
    decoder_layers: int = 2
    components: int = 16


class _MLP(nn.Module):
    """x + W2 relu(W1 norm(x))^2; squared ReLU costs a fraction of GELU on a CPU at the same log score (benchmarks/LOG.md)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)

    def forward(self, x: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        return x + self.down(functional.relu(self.up(self.norm(x))).square())


class _Block(nn.Module):
    """Causal self-attention, then an MLP, both pre-norm and residual."""

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp = _MLP(width, expansion)

    def project(self, x: Float[Tensor, "B L D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, L, D / H)."""
        batch, length, _ = x.shape
        return self.qkv(self.norm(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, hidden: Bool[Tensor, "*B L K"]) -> Float[Tensor, "B L D"]:
        """The block's output for tokens ``x`` that must not see the keys where ``hidden``.

        Written out, since the fused kernel's bf16 backward pass is several times slower than this on a CPU.
        """
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1)
        return self.mlp(x + self.out((weights @ v).transpose(1, 2).flatten(2)))


class PFN(nn.Module):
    """Prior-data fitted network: observed points in, predictive of any later step out, all in model units.

    Model units: steps in (0, 100], 100 the horizon; metric 0 the worst and 1 the best value.
    """

    def __init__(self, config: PFNConfig) -> None:
        super().__init__()
        sizes = asdict(config)
        if not all(isinstance(n, int) and n > 0 for n in sizes.values()) or config.width % config.heads:
            raise ValueError(f"expected positive whole numbers and width a multiple of heads, got {sizes}; change what breaks this")
        self.config = config
        width, components = config.width, config.components
        # Built without storage: torch's own initialisation would cost time and draw from the global generator.
        with torch.device("meta"):
            self.embed = nn.Linear(_TOKEN_FEATURES, width)
            self.blocks = nn.ModuleList(_Block(width, config.heads, config.expansion) for _ in range(config.layers))
            self.state_norm = nn.LayerNorm(width)
            self.state = nn.Linear(width, width)
            self.query = nn.Linear(_QUERY_FEATURES, width)
            self.decoder = nn.ModuleList(_MLP(width, config.expansion) for _ in range(config.decoder_layers))
            self.head_norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, 3 * components + 1)
        self.to_empty(device="cpu")
        self.initialise(torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Weights N(0, 1 / fan-in), a third of that where a block writes to the residual stream; a head that starts as one wide mixture.

        The generator must be on the CPU, whatever the device of the weights.
        """
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(("out.weight", "down.weight"))
                gain = 0.02 if name.startswith("head") else (0.3 * self.config.layers**-0.5 if small else 1.0) * p.shape[1] ** -0.5
                p.copy_(gain * torch.randn(p.shape, generator=generator))
            elif name.endswith("bias"):
                p.zero_()
            else:
                p.fill_(1.0)
        k = self.config.components
        self.head.bias[k : 2 * k] = torch.linspace(-1.5, 1.5, k)  # spread the components
        self.head.bias[-1] = -2.0  # over about the range of the curves

    def encode(self, values: Float[Tensor, "B L"], steps: Float[Tensor, "B L"], cache: bool = False) -> Context:
        """Reads curves once, for every cut-off.

        Args:
            values: metric, model units; NaN where missing or padded. Each curve needs one finite value.
            steps: model steps, increasing along each curve.
            cache: keep keys and values for :meth:`append`.

        Returns:
            The context, one state per token. A state after missing tokens only is meaningless.
        """
        seen = ~(values.isnan() | steps.isnan())
        values, steps = torch.where(seen, values, 0.0), torch.where(seen, steps, 100.0)
        length = values.shape[1]
        hidden = torch.ones(length, length, dtype=torch.bool, device=values.device).triu(1) | ~seen[:, None, None, :]
        # A token always sees itself: a row without any key would be NaN and spoil gradients even where it is not used.
        hidden = hidden & ~torch.eye(length, dtype=torch.bool, device=values.device)
        x = self.embed(_token_features(values, steps, *_previous(values, steps, seen)))
        kept = []
        for block in self.blocks:
            assert isinstance(block, _Block)
            q, k, v = block.project(x)
            x = block.attend(x, q, k, v, hidden)
            kept.append((k, v))
        return Context(self.state_norm(x), values, steps, seen, Cache(kept) if cache else None)

    def append(self, context: Context, value: Float[Tensor, "B"], step: Float[Tensor, "B"]) -> Context:
        """The context with one more point per curve, equal to encoding it anew; NaN leaves a curve as it was.

        Cost per curve: one token against cached keys. ``context`` stays valid.
        """
        if context.cache is None:
            raise ValueError("expected a context with a cache, got one without; encode with cache=True")
        length = context.values.shape[1]
        cache = context.cache.for_append(length)
        is_seen = ~(value.isnan() | step.isnan())
        value, step = torch.where(is_seen, value, 0.0), torch.where(is_seen, step, 100.0)
        seen = torch.cat([context.seen, is_seen[:, None]], 1)
        hidden = ~seen[:, None, None, :]
        hidden[..., -1] = False
        last = context.last[:, None]
        previous = (context.values.gather(1, last), context.steps.gather(1, last), context.seen.any(1, keepdim=True))
        x = self.embed(_token_features(value[:, None], step[:, None], *previous))
        for block, (keys, values) in zip(self.blocks, cache.layers, strict=True):
            assert isinstance(block, _Block)
            q, k, v = block.project(x)
            keys[:, :, length : length + 1], values[:, :, length : length + 1] = k, v
            x = block.attend(x, q, keys[:, :, : length + 1], values[:, :, : length + 1], hidden)
        cache.used = length + 1
        return replace(
            context,
            states=torch.cat([context.states, self.state_norm(x)], 1),
            values=torch.cat([context.values, value[:, None]], 1),
            steps=torch.cat([context.steps, step[:, None]], 1),
            seen=seen,
            cache=cache,
        )

    def decode(self, context: Context, tokens: Int[Tensor, "#B #P"], queries: Float[Tensor, "B P"]) -> Predictive:
        """Predictives, one per pair.

        Args:
            context: the encoded curves.
            tokens: index of the last token that may be used, broadcast to the queries; cut-off n of a curve without missing points
                is token n - 1.
            queries: model step to predict, beyond the token's step.

        Returns:
            Mixture of normals over the noisy metric, model units, batch shape (B, P).
        """
        tokens = tokens.expand(len(queries), -1)
        state = context.states.gather(1, tokens[..., None].expand(-1, -1, self.config.width))
        value, step = context.values.gather(1, tokens), context.steps.gather(1, tokens)
        x = self.state(state) + self.query(_query_features(queries, step))
        for mlp in self.decoder:
            x = mlp(x)
        out = self.head(self.head_norm(x))
        out = out if out.dtype == torch.float64 else out.float()  # bf16 while training
        logits, loc, log_scale, log_unit = out.split([self.config.components] * 3 + [1], dim=-1)
        unit = torch.exp(log_unit.clamp(-9, 3))
        scale = unit * torch.exp(log_scale.clamp(-8, 4)) + _SMALLEST_SCALE
        return Predictive(logits, value[..., None] + unit * loc, scale)


_TOKEN_FEATURES = 7
_QUERY_FEATURES = 6


def _previous(values: Tensor, steps: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value and step of the last seen token before each token, and whether there is one, each (B, L)."""
    index = torch.arange(values.shape[1], device=values.device)
    before = torch.where(seen, index, -1).cummax(1).values.roll(1, 1)
    before[:, 0] = -1
    at = before.clamp(min=0)
    return values.gather(1, at), steps.gather(1, at), before >= 0


def _token_features(value: Tensor, step: Tensor, value_before: Tensor, step_before: Tensor, has_before: Tensor) -> Float[Tensor, "B L F"]:
    """Value, step and the change since the point before, the latter at the resolutions of large, usual and tiny noise."""
    change = torch.where(has_before, value - value_before, 0.0)
    gap = torch.where(has_before, step - step_before, 1.0)
    features = [
        2 * value - 1,
        step / 50 - 1,
        torch.log(step) / 2.3 - 1,
        torch.log(gap.clamp(min=1e-3)),
        torch.asinh(change / 0.1),
        torch.asinh(change / 0.01),
        0.3 * torch.asinh(change / 0.001),
    ]
    return torch.stack(features, dim=-1)


def _query_features(query: Tensor, step: Tensor) -> Float[Tensor, "B P F"]:
    """Query step, alone and relative to the last observed one, linear and logarithmic; 1 / log(t + 1) is a family of the prior."""
    gap = query - step
    features = [query / 50 - 1, torch.log(query) / 2.3 - 1, gap / 50 - 1, torch.log(query / step), torch.log1p(gap) / 2 - 1]
    return torch.stack([*features, 1 / torch.log(query + 1)], dim=-1)
