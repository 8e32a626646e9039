"""A map of the user's scale under which a law is a mixture of normals."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class AsinhWarp:
    """u = asinh((y - center) / scale): linear within about `scale` of `center` (user's unit), logarithmic beyond."""

    center: Float[Tensor, "*#batch"]
    scale: Float[Tensor, "*#batch"]

    def forward(self, y: Tensor) -> Tensor:
        """Gives u at y."""
        return torch.asinh((y - self.center) / self.scale)

    def inverse(self, u: Tensor) -> Tensor:
        """Gives y at u, center + scale * sinh(u)."""
        return self.center + self.scale * torch.sinh(u)

    def log_slope(self, y: Tensor) -> Tensor:
        """Gives log du/dy at y, = -log sqrt((y - center)² + scale²)."""
        return -torch.log(torch.hypot(y - self.center, self.scale))
