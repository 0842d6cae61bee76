"""Text that comes from elsewhere, made safe to print. Pure."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Return ``text`` with control characters escaped, so that no terminal obeys it.

    Line breaks stay.

    Examples:
        >>> print(printable("one\x1b[2Jtwo"))
        one\x1b[2Jtwo
    """
    return "".join(
        c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text)
    )
