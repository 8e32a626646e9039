"""The PFN: a causal transformer over observed points, with a light decoder for later steps.

- Each observed point is a token. Attention is causal, so the state after point n summarises points 1..n, and one encoding of a whole
  curve serves every cut-off.
- Padding is on the right of a curve, where the causal mask keeps it out of every real state. When ``append`` extends a batch, padding can
  end up inside a curve; there the ``seen`` mask hides it.
- The decoder maps (state at the cut-off, query step) to a mixture of normals. It chooses location and unit for each query: the location
  starts from the last value and the spread from one learned scale, so it can resolve curves that hardly change.

Shape letters: B curves, L tokens, P (cut-off, query) pairs, D width, H heads, F features, K components.
Source: LC-PFN (Adriaensen et al., NeurIPS 2023, arXiv 2310.20447) for the idea of a PFN on curves; the causal layout, the features and
the decoder are ours, chosen by the measurements in benchmarks/LOG.md.
"""

from dataclasses import asdict, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lcx.config import PFNConfig
from lcx.pfn.blocks import MLP, Block, linear, normed
from lcx.pfn.context import Cache, Context, pick
from lcx.pfn.features import (
    GENERAL_QUERY,
    GENERAL_TOKEN,
    PARAMETRIC_QUERY,
    PARAMETRIC_TOKEN,
    Frame,
    general_query,
    general_tokens,
    parametric_query,
    parametric_tokens,
)
from lcx.pfn.kept import later_and_itself
from lcx.pfn.moves import describe
from lcx.pfn.others import Others
from lcx.pfn.reader import NEAREST, NOTHING, Copies, Reader
from lcx.predictive import Predictive

_SMALLEST_SPREAD = 1e-3  # of the unit of recent change: a quantised metric repeats values, and density must stay finite
_FAR = 1.5  # standard deviations of a mixture, beyond which a copy loses weight as the square of its distance
_SMALLEST_SCALE = 1e-4  # model units; the prior's sigma is below this in fewer than 1 of 10^7 draws


class PFN(nn.Module):
    """Prior-data fitted network: observed points in, predictive of any later step out, all in model units.

    Model units: steps in (0, 100], 100 the horizon; metric 0 the worst and 1 the best value.
    """

    def __init__(self, config: PFNConfig) -> None:
        super().__init__()
        sizes = asdict(config)
        chart, reader, copies = (sizes.pop(name) for name in ("chart", "reader", "copies"))
        if not all(isinstance(n, int) and n > 0 for n in sizes.values()) or config.width % config.heads:
            raise ValueError(f"expected positive whole numbers and width a multiple of heads, got {sizes}; change what breaks this")
        if chart not in ("parametric", "general"):
            raise ValueError(f"expected chart to be 'parametric' or 'general', got {chart!r}; write one of these")
        if not isinstance(reader, int) or reader < 0 or reader % 4 or (reader and chart != "general"):
            raise ValueError(f"expected reader to be 0 or, in the general chart, a multiple of 4, got {reader!r}; write 0 or 64, say")
        if not isinstance(copies, bool) or (copies and not reader):
            raise ValueError(f"expected copies to be true or false, and true only beside a reader, got {copies!r}; write reader=64, say")
        self.config, self.general = config, chart == "general"
        width, components = config.width, config.components
        # Built without storage: torch's own initialisation would cost time and draw from the global generator.
        with torch.device("meta"):
            self.embed = nn.Linear(GENERAL_TOKEN if self.general else PARAMETRIC_TOKEN, width)
            self.blocks = nn.ModuleList(Block(width, config.heads, config.expansion, self.general) for _ in range(config.layers))
            self.state_norm = nn.LayerNorm(width)
            self.state = nn.Linear(width, width)
            self.query = nn.Linear(GENERAL_QUERY if self.general else PARAMETRIC_QUERY, width)
            self.decoder = nn.ModuleList(MLP(width, config.expansion) for _ in range(config.decoder_layers))
            self.head_norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, 3 * components + 1)
            self.reader = Reader(width, GENERAL_QUERY, reader, copies) if reader else None
        for part in self.modules():
            for name, p in list(part.named_parameters(recurse=False)):  # to_empty would load sympy, which takes longer than all of this
                setattr(part, name, nn.Parameter(torch.empty(p.shape, dtype=p.dtype)))
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
        if self.reader is not None:  # so that it begins with saying nothing
            for layer in (self.reader.last, self.reader.gate, *([self.reader.copy] if self.config.copies else [])):
                layer.weight.zero_()
        self.head.bias[k : 2 * k] = torch.linspace(-1.5, 1.5, k)  # spread the components
        self.head.bias[-1] = 0.0 if self.general else -2.0  # over about the range of the curves, or of the latest changes

    def encode(
        self,
        values: Float[Tensor, "B L"],
        steps: Float[Tensor, "B L"],
        cache: bool = False,
        frame: Frame | None = None,
        only: Int[Tensor, "B"] | None = None,
    ) -> Context:
        """Reads curves once, for every cut-off.

        Args:
            values: metric, model units; NaN where missing or padded. Each curve needs one finite value. In the general chart any
                affine map of the metric will do, larger being better.
            steps: model steps, increasing along each curve.
            cache: keep keys and values for :meth:`append`.
            frame: bounds and fallback scale, which the general chart needs.
            only: the one token of each curve that will be decoded, which saves most of the last block.

        Returns:
            The context, one state per token. A state after missing tokens only is meaningless.
        """
        seen = ~(values.isnan() | steps.isnan())
        values, steps = values.where(seen, 0.0), steps.where(seen, 100.0)
        length = values.shape[1]
        later, itself = later_and_itself(length, values.device)
        # A token always sees itself: a row without any key would be NaN and spoil gradients even where it is not used.
        hidden = (later | ~seen[:, None, None, :]) & ~itself
        tokens, unit, gap = self._describe(values, steps, seen, frame)
        bias, known = _bias(hidden, tokens.dtype), (_beside_one(values), values, unit)
        x, kept = linear(self.embed, tokens), []
        for block in self.blocks:
            assert isinstance(block, Block)
            q, k, v = block.project(x)
            kept.append((k, v))
            if only is not None and len(kept) == len(self.blocks):
                x, q, bias = pick(x, only, 1), pick(q, only, 2), pick(bias, only, 2)
                known = known[0], pick(values, only, 1), pick(unit, only, 1)
            x = block.attend(x, q, k, v, bias, known)
        states = normed(self.state_norm, x).expand(-1, length, -1)
        return Context(states, values, steps, seen, unit, gap, frame, Cache(kept) if cache else None)

    def append(self, context: Context, value: Float[Tensor, "B"], step: Float[Tensor, "B"]) -> Context:
        """The context with one more point per curve, equal to encoding it anew; NaN leaves a curve as it was.

        Cost per curve: one token against cached keys. ``context`` stays valid.
        """
        if context.cache is None:
            raise ValueError("expected a context with a cache, got one without; encode with cache=True")
        length = context.values.shape[1]
        cache = context.cache.for_append(length)
        is_seen = ~(value.isnan() | step.isnan())
        value, step = value.where(is_seen, 0.0), step.where(is_seen, 100.0)
        seen = torch.cat([context.seen, is_seen[:, None]], 1)
        hidden = ~seen[:, None, None, :]
        hidden[..., -1] = False
        values, steps = torch.cat([context.values, value[:, None]], 1), torch.cat([context.steps, step[:, None]], 1)
        # All tokens are described anew, which costs little beside one token's pass, and keeps one definition of every feature.
        tokens, unit, gap = (x[:, -1:] for x in self._describe(values, steps, seen, context.frame))
        bias, known = _bias(hidden, tokens.dtype), (_beside_one(values), value[:, None], unit)
        x = linear(self.embed, tokens)
        for block, (keys, kept) in zip(self.blocks, cache.layers, strict=True):
            assert isinstance(block, Block)
            q, k, v = block.project(x)
            keys[:, :, length : length + 1], kept[:, :, length : length + 1] = k, v
            x = block.attend(x, q, keys[:, :, : length + 1], kept[:, :, : length + 1], bias, known)
        cache.used = length + 1
        return replace(
            context,
            states=torch.cat([context.states, normed(self.state_norm, x)], 1),
            values=values,
            steps=steps,
            seen=seen,
            units=torch.cat([context.units, unit], 1),
            gaps=torch.cat([context.gaps, gap], 1),
            cache=cache,
        )

    def _describe(self, values: Tensor, steps: Tensor, seen: Tensor, frame: Frame | None) -> tuple[Tensor, Tensor, Tensor]:
        """Token features, unit and spacing of each token, the latter two 1 in the parametric chart."""
        if not self.general:
            ones = torch.ones_like(values)
            return parametric_tokens(values, steps, seen), ones, ones
        if frame is None:
            raise ValueError("expected a frame with bounds and fallback scale for a general model, got none; give it to encode")
        return general_tokens(values, steps, seen, frame)

    def decode(
        self, context: Context, tokens: Int[Tensor, "#B #P"], queries: Float[Tensor, "B P"], others: Others | None = None
    ) -> Predictive:
        """Predictives, one per pair.

        Args:
            context: the encoded curves.
            tokens: index of the last token that may be used, broadcast to the queries; without missing points, cut-off less 1.
            queries: model step to predict, beyond the token's step.
            others: the study's other runs, which a model with a reader reads; a model without one cannot be given any.

        Returns:
            Mixture of normals over the noisy metric, model units, batch shape (B, P).
        """
        if others is not None and self.reader is None:
            raise ValueError("expected no other runs for a model without a reader, got some; train one with reader=64, say")
        whole = tokens.expand(queries.shape[0], -1)
        state = context.states.gather(1, whole[..., None].expand(-1, -1, self.config.width))
        value, step, base, gap = (x.gather(1, whole) for x in (context.values, context.steps, context.units, context.gaps))
        asked = general_query(queries, step, gap) if self.general else parametric_query(queries, step)
        x = linear(self.state, state) + linear(self.query, asked)
        read = None
        if others is not None and self.reader is not None:
            read = self.reader(describe(others, context, whole, queries), state.expand_as(x), asked)
            x = x + read.added
        for mlp in self.decoder:
            x = mlp(x)
        out = linear(self.head, normed(self.head_norm, x))
        out = out if out.dtype == torch.float64 else out.float()  # bf16 while training
        logits, loc, log_scale, log_unit = out.split([self.config.components] * 3 + [1], dim=-1)
        if read is not None:
            loc = loc + (read.weights * torch.asinh(read.moves * torch.exp(-log_unit.clamp(-9, 9)))).sum(-1, keepdim=True)
        if self.general:  # loc moves by decades of the unit; near it sinh is linear
            base, value, loc = base[..., None], value[..., None], loc.clamp(-12, 12)
            unit = base * torch.exp(log_unit.clamp(-9, 9))
            spread = torch.exp(log_scale.clamp(-8, 4)) * torch.cosh(loc) * unit
            law = logits, value + unit * torch.sinh(loc), spread + _SMALLEST_SPREAD * base
            return Predictive(*law) if read is None or read.copies is None else _with_copies(*law, read.copies, value, base)
        unit = torch.exp(log_unit.clamp(-9, 3))
        scale = unit * torch.exp(log_scale.clamp(-8, 4)) + _SMALLEST_SCALE
        return Predictive(logits, value[..., None] + unit * loc, scale)


def _with_copies(
    logits: Float[Tensor, "B P K"],
    loc: Float[Tensor, "B P K"],
    scale: Float[Tensor, "B P K"],
    copies: Copies,
    value: Float[Tensor, "B #P 1"],
    base: Float[Tensor, "B #P 1"],
) -> Predictive:
    """The mixture with the copies, of which one far from where it expects the curve, as of an alien run, counts for less."""
    known, share = copies.weight > NOTHING / 2, logits.softmax(-1)
    middle = (share * loc).sum(-1, keepdim=True)
    reach = (share * (scale.square() + (loc - middle).square())).sum(-1, keepdim=True).sqrt()
    place = torch.where(known, value + base * copies.place, loc[..., :1])
    beyond = ((place - middle).abs() / (_FAR * reach).clamp(min=1e-30)).clamp(min=1)
    weight = copies.weight + torch.logsumexp(logits, -1, keepdim=True) - 2 * torch.log(beyond)
    wide = torch.where(known, base * (copies.wide + NEAREST), scale[..., :1])
    return Predictive(torch.cat([logits, weight], -1), torch.cat([loc, place], -1), torch.cat([scale, wide], -1))


def _bias(hidden: Bool[Tensor, "B 1 L K"], dtype: torch.dtype) -> Float[Tensor, "B 1 L K"]:
    """What hides keys when it is added to scores."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill(hidden, -torch.inf)


def _beside_one(values: Float[Tensor, "B K"]) -> Float[Tensor, "B K 2"]:
    """The values, of which weights make a mean, and ones, of which they make their sum."""
    return torch.stack([values, torch.ones_like(values)], -1)
