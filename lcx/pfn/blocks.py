"""The layers of the PFN: residual MLPs, and causal blocks whose heads also tell the mean of the values they attend to.

Shape letters: B curves, L tokens, K keys, D width, H heads.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

_RESOLUTIONS = (0.03, 1.0, 30.0)  # per unit of recent change


class MLP(nn.Module):
    """x + W2 relu(W1 norm(x))^2; squared ReLU costs a fraction of GELU on a CPU at the same log score (benchmarks/LOG.md)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)

    def forward(self, x: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows D"]:
        """Gives the rows with the MLP's answer added."""
        hidden = functional.relu(self.up(self.norm(x)), inplace=True)
        return x + self.down(hidden.square() if hidden.requires_grad else hidden.square_())  # the largest tensor: not twice


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
        return self.qkv(self.norm(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def attend(
        self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, hidden: Bool[Tensor, "*B L K"], values: Tensor, here: Tensor, unit: Tensor
    ) -> Float[Tensor, "B L D"]:
        """The block's output for tokens ``x`` that must not see the keys where ``hidden``.

        In the general chart a head also tells where the mean of the ``values`` (B, K) it attends to lies from the token's own value
        ``here`` (B, L), in the token's ``unit``. Written out, since the fused kernel's bf16 backward pass is slow on a CPU.
        """
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        if self.level is not None:
            with torch.autocast(x.device.type, enabled=False):  # in bf16 the mean would lose the value it is to be told from
                exact = weights.to(values.dtype)
                apart = exact @ values[:, None, :, None] - exact.sum(-1, keepdim=True) * here[:, None, :, None]
            apart = apart.squeeze(-1).transpose(1, 2) / unit[..., None]
            x = x + self.level(torch.cat([torch.asinh(apart * r) / (1 + r) ** 0.5 for r in _RESOLUTIONS], -1))
        return self.mlp(x)
