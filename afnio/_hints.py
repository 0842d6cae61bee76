"""Arguments that a constructor does not have: an error that names what is meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from afnio._text import closest
from afnio.errors import InputTypeError

T = TypeVar("T")


def hinted(**habits: str) -> Callable[[type[T]], type[T]]:
    """Return a class decorator: wrong argument names get a suggestion.

    Args:
        **habits: What other libraries call an argument → its name here.

    Examples:
        >>> @hinted(dollars="usd")
        ... class Cap:
        ...     def __init__(self, usd): ...
        >>> Cap(dollars=3)
        Traceback (most recent call last):
        afnio.errors.InputTypeError: Cap has no argument 'dollars'; did you mean 'usd'?
    """

    def decorate(cls: type[T]) -> type[T]:
        init = vars(cls)["__init__"]
        cls.__init__ = with_hints(cls.__name__, init, habits)  # type: ignore[method-assign]
        return cls

    return decorate


def with_hints(
    who: str, init: Callable[..., None], habits: Mapping[str, str]
) -> Callable[..., None]:
    """Return ``init`` that explains arguments it does not have; see `hinted`."""

    @functools.wraps(init)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            init(*args, **kwargs)
        except TypeError as error:
            trace = error.__traceback__
            if trace is not None and trace.tb_next is not None:
                raise  # from inside: the arguments did fit
            if message := _explained(init, args, kwargs, habits):
                raise InputTypeError(f"{who} {message}") from None
            raise

    return wrapper


def _explained(
    init: Callable[..., None],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    habits: Mapping[str, str],
) -> str:
    """Say which argument does not exist; empty if that is not what is wrong."""
    params = list(inspect.signature(init).parameters.values())[1:]
    known = [p.name for p in params if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    unknown = [name for name in kwargs if name not in known]
    if any(p.kind is p.VAR_KEYWORD for p in params):  # one that is needed is missing
        missing = [name for name in known[len(args) - 1 :] if name not in kwargs]
        near = [(n, closest(n, missing)) for n in unknown if n not in habits]
        unknown = [n for n in unknown if n in habits]
        unknown += [name for name, hint in near if hint.startswith("did you mean")]
    if not unknown:
        return ""
    meant = habits.get(unknown[0])
    hint = f"did you mean {meant!r}?" if meant else closest(unknown[0], known)
    return f"has no argument {unknown[0]!r}; {hint}"
