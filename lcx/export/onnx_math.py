"""Functions that ONNX lacks: cdf and quantiles of a truncated mixture, running maxima.

The same law as :class:`lcx.predictive.Predictive`, with bounds as numbers (infinite for none) and a bounded number of steps.
Shape letters: B curves, A steps to predict, Q levels, K components.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_STEPS = 60  # of the root finder at most; it needs about 25
_TINY = 2.0**-126  # of float32
_KNEE = 2.5  # erfcx(x) = t R(t), t = 1 / (1 + x / _KNEE): here a polynomial R of degree 14 is within 1e-10 of it everywhere


class Mixture(NamedTuple):
    """A mixture of normals given lower <= y <= upper."""

    logits: Float[Tensor, "B A K"]
    loc: Float[Tensor, "B A K"]
    scale: Float[Tensor, "B A K"]
    lower: Float[Tensor, "B 1 1"]
    upper: Float[Tensor, "B 1 1"]


def as_levels(levels: tuple[float, ...]) -> Float[Tensor, "4 Q"]:
    """What :func:`icdf` needs: the mass of the nearer tail, normal scores that enclose its quantile, 1 if that tail is the right one."""
    level = torch.tensor(levels, dtype=torch.float64)
    tail = torch.minimum(level, 1 - level)
    return torch.stack([tail, torch.special.ndtri(tail / 2), -torch.special.ndtri((1 - tail) / 2), (level > 0.5).double()])


def cdf(law: Mixture, u: Float[Tensor, "B #A #Q"], mirror: Tensor) -> Float[Tensor, "B A Q"]:
    """P(Y <= u), or P(-Y <= u) where ``mirror``, relatively exact in the left tail; NaN at NaN."""
    return _one_sided(law, mirror).cdf(u)


def hypot(a: Tensor, b: Tensor) -> Tensor:
    """sqrt(a² + b²) of a > 0 and b >= 0, whose squares may overflow."""
    most = torch.maximum(a, b)
    return most * ((a / most).square() + (b / most).square()).sqrt()


def icdf(law: Mixture, levels: Float[Tensor, "4 Q"]) -> Float[Tensor, "B A Q"]:
    """Quantiles at the levels of :func:`as_levels`, by Chandrupatla's root finder (Advances in Engineering Software 28, 1997)."""
    p, least, most, right = levels.unbind(0)
    mirror = right > 0
    one = _one_sided(law, mirror)
    # The quantile lies between the extremes over components, each cut off at the far bound (see Predictive).
    low = (torch.minimum(one.loc, one.high[..., None]) + one.scale * least[:, None]).amin(-1)
    high = (torch.maximum(one.loc, one.low[..., None]) + one.scale * most[:, None]).amax(-1)
    low, high = torch.maximum(low, one.low), torch.minimum(high, one.high)

    exact = 1e-10 * law.scale.amin(-1, keepdim=True)

    def unfinished(i: Tensor, t: Tensor, a: Tensor, b: Tensor, fa: Tensor, fb: Tensor) -> Tensor:
        return (i < _STEPS) & (((b - a).abs() > 2 * (exact + 1e-15 * a.abs())) & (fa != 0)).any()

    def step(i: Tensor, t: Tensor, a: Tensor, b: Tensor, fa: Tensor, fb: Tensor) -> tuple[Tensor, ...]:
        x = a + t * (b - a)
        fx = one.cdf(x) - p
        same = (fx > 0) == (fa > 0)
        c, fc = torch.where(same, a, b), torch.where(same, fa, fb)
        b, fb = torch.where(same, b, a), torch.where(same, fb, fa)
        xi, phi = (x - b) / (c - b), (fx - fb) / (fc - fb)
        smooth = (phi * phi < xi) & ((1 - phi) * (1 - phi) < 1 - xi)  # inverse quadratic interpolation is safe
        t = fx / (fb - fx) * fc / (fb - fc) + (c - x) / (b - x) * fx / (fc - fx) * fb / (fc - fb)
        least = (exact + 1e-15 * x.abs()) / (b - x).abs()  # a step beyond the root, so that the bracket closes from both sides
        return i + 1, torch.where(smooth, torch.minimum(torch.maximum(t, least), 1 - least), 0.5), x, b, fx, fb

    start = torch.tensor(0), torch.full_like(low, 0.5), low, high, *(below - p for below in one.cdf(torch.stack([low, high])).unbind(0))
    _, _, a, b, fa, fb = _loop(unfinished, step, start)
    u = torch.where(fa.abs() <= fb.abs(), a, b)
    y = torch.where(mirror, -u, u)
    return torch.minimum(torch.maximum(y, law.lower), law.upper)


def _loop(unfinished: Callable[..., Tensor], step: Callable[..., tuple[Tensor, ...]], state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """While in Python, which an export turns into ONNX's Loop."""
    if torch.compiler.is_compiling():
        from torch._higher_order_ops.while_loop import while_loop

        return while_loop(unfinished, step, state)
    while unfinished(*state):
        state = step(*state)
    return state


class _OneSided(NamedTuple):
    """A truncated mixture, or its mirror image, of which the left tail is wanted; a level axis Q before K."""

    weight: Tensor  # (B, A, 1, K) log w_k - log P(inside the bounds)
    loc: Tensor  # (B, A, Q, K)
    scale: Tensor  # (B, A, 1, K)
    low: Tensor  # (B, 1, Q) bounds
    high: Tensor
    side: Tensor  # (B, A, Q, K) -1 where a component lies below the lower bound, so that its upper tail has the digits
    before: Tensor  # (B, A, Q, K) that tail at the lower bound

    def cdf(self, u: Float[Tensor, "*#out"]) -> Float[Tensor, "*out"]:
        """P(U <= u); NaN at NaN."""
        u = torch.minimum(torch.maximum(u, self.low), self.high)
        parts = self.side * (_share(self.side * (u[..., None] - self.loc) / self.scale, self.weight) - self.before)
        return _clamp(parts.sum(-1), 0, 1)


def _one_sided(law: Mixture, mirror: Tensor) -> _OneSided:
    alpha, beta = ((edge - law.loc) / law.scale for edge in (law.lower, law.upper))
    flip = alpha + beta > 0
    near, far = _log_ndtr(torch.where(flip, torch.stack([-alpha, -beta]), torch.stack([beta, alpha]))).unbind(0)
    inside = near + torch.log(_clamp(1 - torch.exp(far - near), min=1e-30))
    weight = torch.log_softmax(law.logits, -1)
    weight = (weight - torch.logsumexp(weight + inside, -1, keepdim=True))[..., None, :]
    loc = torch.where(mirror[..., None], -law.loc[..., None, :], law.loc[..., None, :])
    low, high = torch.where(mirror, -law.upper, law.lower), torch.where(mirror, -law.lower, law.upper)
    scale = law.scale[..., None, :]
    alpha = (low[..., None] - loc) / scale
    side = torch.where(alpha > 0, -1.0, 1.0).to(alpha.dtype)
    return _OneSided(weight, loc, scale, low, high, side, _share(side * alpha, weight))


def _half_erfcx(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """exp(x²) erfc(x) / 2 for x >= 0, to 1e-10; ONNX has erf in float32 only."""
    t = 1 / (1 + x / _KNEE)
    s, total = 2 * t - 1, torch.zeros_like(t)
    for coefficient in _R.flip(0).unbind():
        total = total * s + coefficient
    return 0.5 * t * total


def _polynomial(degree: int = 14) -> Float[Tensor, "degree_and_1"]:
    """Coefficients in 2t - 1 of R, by interpolation at Chebyshev nodes."""

    def ratio(s: np.ndarray) -> np.ndarray:
        t = (1 + s) / 2
        return torch.special.erfcx(torch.from_numpy(_KNEE * (1 / t - 1))).numpy() / t

    return torch.from_numpy(np.polynomial.Chebyshev.interpolate(ratio, degree).convert(kind=np.polynomial.Polynomial).coef)


_R = _polynomial()  # a tensor: the exporter rounds bare numbers to float32


def _share(z: Tensor, log_weight: Tensor) -> Tensor:
    """exp(log_weight) Phi(z), relatively exact in the left tail."""
    tail = torch.exp(log_weight - 0.5 * z * z) * _half_erfcx((0.5 * z * z).sqrt())
    return torch.where(z < 0, tail, torch.exp(log_weight) - tail)


def _log_ndtr(z: Tensor) -> Tensor:
    log_tail = torch.log(_half_erfcx((0.5 * z * z).sqrt())) - 0.5 * z * z
    return torch.where(z < 0, log_tail, torch.log(1 - torch.exp(log_tail)))


def _cummax(x: Tensor, dim: int) -> torch.return_types.cummax:
    """Running maximum along the last axis and the latest index that holds it; ONNX has none."""
    index = torch.arange(x.shape[-1], device=x.device)
    later = index > index[:, None]
    lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    top = x[..., None, :].masked_fill(later, lowest).amax(-1)
    held = (x[..., None, :] == top[..., None]) & ~later
    return torch.return_types.cummax((top, torch.where(held, index, -1).amax(-1)))


def _cummin(x: Tensor, dim: int) -> torch.return_types.cummax:
    low, index = _cummax(-x, dim)
    return torch.return_types.cummax((-low, index))


def _clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """The exporter rounds numbers to float32, where 1e-300, a guard against 0 / 0, would be 0; tensors it leaves as they are."""
    for limit, nearer in ((min, torch.maximum), (max, torch.minimum)):
        if limit is not None:
            end = limit if isinstance(limit, Tensor) else _TINY if 0 < limit < _TINY else limit
            x = nearer(x, end if isinstance(end, Tensor) else torch.scalar_tensor(end, dtype=x.dtype, device=x.device))
    return x


def _nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """In fewer steps than the exporter's, where one number takes the place of all that is not finite, and of infinity alone."""
    if nan == posinf == neginf:
        return torch.where(x.abs() < math.inf, x, nan)
    return torch.nan_to_num(x, nan, posinf, neginf)


def _layer_norm(x: Tensor, shape: Any, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """In float64: onnxruntime takes E[x²] - E[x]² in float32, which keeps too little of it."""
    return torch.layer_norm(x.double(), shape, weight.double(), bias.double(), eps).to(x.dtype)


def _asinh(x: Tensor) -> Tensor:
    """ONNX Runtime has it for float32 alone."""
    if x.dtype == torch.float32:
        return torch.asinh(x)
    size = x.abs()
    return torch.sign(x) * torch.log(size + (size * size + 1).sqrt())


def _searchsorted(entries: Tensor, x: Tensor, *, right: bool) -> Tensor:
    """How many of each row's entries, at most 511, are <= x; ONNX has no search. By halves, each of which is one more binary digit."""
    entries, found = functional.pad(entries, (0, 512), value=math.inf), torch.full_like(x, -1, dtype=torch.long)  # the last one <= x
    for half in (256, 128, 64, 32, 16, 8, 4, 2, 1):
        later = found + half
        found = torch.where(entries.gather(-1, later) <= x, later, found)
    return found + 1


WRITTEN_OUT: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((torch.cummax, torch.Tensor.cummax), _cummax),
    **dict.fromkeys((torch.cummin, torch.Tensor.cummin), _cummin),
    **dict.fromkeys((torch.clamp, torch.Tensor.clamp), _clamp),
    **dict.fromkeys((torch.asinh, torch.Tensor.asinh), _asinh),
    **dict.fromkeys((torch.nan_to_num, torch.Tensor.nan_to_num), _nan_to_num),
    **dict.fromkeys((torch.layer_norm, functional.layer_norm), _layer_norm),
    torch.searchsorted: _searchsorted,
}


class WrittenOut(TorchFunctionMode):
    """Within it torch's functions are those that ONNX has."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See torch.overrides."""
        return WRITTEN_OUT.get(func, func)(*args, **(kwargs or {}))
