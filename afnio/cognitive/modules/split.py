"""Split as a module."""

from __future__ import annotations

from afnio._variable import Variable
from afnio.cognitive import functional
from afnio.cognitive.modules._given import NOT_GIVEN, NotGiven, as_buffer, first_given
from afnio.cognitive.modules.module import Module


class Split(Module):
    """Split text as `str.split` does; see `afnio.autodiff.basic_ops.Split`.

    Args:
        sep: Where to split; None for white space. A call may override it.
        maxsplit: How often at most; -1 for no limit. A call may override it.
    """

    sep: Variable | None
    maxsplit: Variable | None

    def __init__(
        self, sep: str | Variable | None = None, maxsplit: int | Variable = -1
    ) -> None:
        super().__init__()
        self.register_buffer("sep", as_buffer(sep, "separator"))
        limit = None if maxsplit == -1 else maxsplit
        self.register_buffer("maxsplit", as_buffer(limit, "greatest number of splits"))

    def forward(
        self,
        x: Variable,
        sep: str | Variable | NotGiven | None = NOT_GIVEN,
        maxsplit: int | Variable | NotGiven = NOT_GIVEN,
    ) -> tuple[Variable, ...]:
        """Return one Variable per part."""
        configured = -1 if self.maxsplit is None else self.maxsplit
        return functional.split(
            x, first_given(sep, self.sep), first_given(maxsplit, configured)
        )
