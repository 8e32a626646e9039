"""The checker of annotations while tests run: beartype with int accepted for float, as type checkers do (PEP 484)."""

from collections.abc import Callable

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable) -> Callable:
    """A function within a function is made anew at each call, and its check compiled anew: not for plain types, which pyright sees."""
    within = "<locals>" in function.__qualname__
    shapes = [hint for hint in function.__annotations__.values() if isinstance(hint, type) and issubclass(hint, AbstractArray)]
    return function if within and not shapes else _check(function)
