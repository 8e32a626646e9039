"""The layers of the PFN: residual MLPs, and causal blocks whose heads also tell the mean of the values they attend to.

Shape letters: B curves, L tokens, K keys, D width, H heads.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lcx.pfn.kept import kept

_MANY = 1000  # rows of a product from which oneDNN is worth it even once: what it compiles for each new size takes 0.3 ms
# What torch's own compiler calls; not in every build.
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
_ONEDNN = None if _PRODUCT is None else _PRODUCT.default
_RESOLUTIONS = (0.03, 1.0, 30.0)  # per unit of recent change


@kept
def _resolutions(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The resolutions, and what keeps the features of each about as large."""
    finest = torch.tensor(_RESOLUTIONS, dtype=dtype, device=device)[:, None]
    return finest, (1 + finest) ** -0.5


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """What the layer makes of x. A module's own call costs as much as a small product."""
    if _ONEDNN is not None and _is_bulk(x):
        return _ONEDNN(x, layer.weight, layer.bias, "none", [], "")
    return functional.linear(x, layer.weight, layer.bias)


def _is_bulk(x: Tensor) -> bool:
    """Whether these are many rows of float32 on a CPU, neither differentiated nor traced: for these there are faster kernels.

    For products oneDNN: torch's default for float32, MKL, takes more than twice as long on AMD, and adds the bias in a pass of its own.
    For attention the fused one, which keeps no weights: curves of 512 tokens are encoded in about half the time, of 128 in the same.
    """
    many = x.dtype == torch.float32 and x.numel() >= _MANY * x.shape[-1] and x.device.type == "cpu"
    return many and not (torch.is_grad_enabled() or torch.compiler.is_compiling())


def normed(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    """The same of a layer norm."""
    return torch.layer_norm(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


class MLP(nn.Module):
    """x + W2 relu(W1 norm(x))^2; squared ReLU costs a fraction of GELU on a CPU at the same log score (benchmarks/LOG.md)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)

    def forward(self, x: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        """Gives the rows with the MLP's answer added."""
        hidden = torch.relu_(linear(self.up, normed(self.norm, x)))
        return x + linear(self.down, hidden.square() if hidden.requires_grad else hidden.square_())  # the largest tensor: not twice


class Block(nn.Module):
    """Causal self-attention, then an MLP, both pre-norm and residual."""

    def __init__(self, width: int, heads: int, expansion: int, relative: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.level = nn.Linear(len(_RESOLUTIONS) * heads, width, bias=False) if relative else None
        self.mlp = MLP(width, expansion)

    def project(self, x: Float[Tensor, "B L D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, L, D / H)."""
        batch, length, _ = x.shape
        q, k, v = linear(self.qkv, normed(self.norm, x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def attend(
        self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Float[Tensor, "*B L K"], seen: tuple[Tensor, Tensor, Tensor]
    ) -> Float[Tensor, "B L D"]:
        """The block's output for tokens ``x``, ``bias`` being added to the scores: -inf for keys that they must not see.

        In the general chart a head also tells where the mean of the values it attends to lies from the token's own. ``seen`` holds
        beside each key's value a 1, (B, K, 2), each token's value (B, L) and its unit of change. Written out where it is trained, since
        the fused kernel's bf16 backward pass is slow on a CPU.
        """
        values, here, unit = seen
        read, means = (_fused if _is_bulk(x) else _written_out)(q, k, v, bias, values[..., :0] if self.level is None else values)
        x = x + linear(self.out, read.transpose(1, 2).flatten(2))
        if self.level is not None:
            x = x + linear(self.level, _levels(means, here, unit))
        return self.mlp(x)


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, values: Tensor) -> tuple[Float[Tensor, "B H L Dh"], Float[Tensor, "B H L R"]]:
    """What the heads read, and the means of the values they attend to, as two more columns."""
    depth, more = q.shape[-1], values.shape[-1]
    v = torch.cat([v, values[:, None].expand(-1, v.shape[1], -1, -1)], -1)
    q, k = (functional.pad(y, (0, more)) for y in (q, k))  # the kernel wants one width
    read = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=depth**-0.5)
    return read[..., :depth], read[..., depth:]


def _written_out(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The same, differentiable in any precision."""
    batch, heads, length, depth = q.shape
    bias = bias.expand(-1, heads, -1, -1).reshape(-1, *bias.shape[2:])
    q, k, v = (y.reshape(-1, *y.shape[2:]) for y in (q, k, v))  # of one curve without a copy
    weights = torch.softmax(torch.baddbmm(bias, q, k.transpose(1, 2), alpha=depth**-0.5), dim=-1)
    means = _product(weights.view(batch, heads * length, -1), values)
    return torch.bmm(weights, v).view(batch, heads, length, depth), means.view(batch, heads, length, -1)


def _product(weights: Tensor, values: Tensor) -> Tensor:
    if torch.is_autocast_enabled(weights.device.type):  # in bf16 the mean would lose the value it is to be told from
        with torch.autocast(weights.device.type, enabled=False):
            return _product(weights.to(values.dtype), values)
    return torch.bmm(weights, values)


def _levels(means: Float[Tensor, "B H L 2"], here: Tensor, unit: Tensor) -> Float[Tensor, "B L RH"]:
    """Where the means of the values lie from each token's own, in its unit, at every resolution and of every head."""
    resolutions, gain = _resolutions(here.dtype, here.device)
    mean, whole = means.unbind(-1)
    apart = (mean - whole * here[:, None]) / unit[:, None]
    return (torch.asinh(apart.transpose(1, 2).unsqueeze(2) * resolutions) * gain).flatten(2)
