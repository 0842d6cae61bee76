"""Amounts that budgets count, and the most that a call can cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from afnio.models._keys import canonical
from afnio.models._messages import Request
from afnio.models._prices import PriceBook
from afnio.models._usage import Usage

_MESSAGE_TOKENS: Final = 16
"""Counted for what a provider wraps around each message."""

_BLOCK_TOKENS: Final = 8192
"""Counted for an image, audio or file block, besides its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What one call, or many, cost."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            usd=self.usd + other.usd,
            tokens=self.tokens + other.tokens,
            calls=self.calls + other.calls,
        )

    def __sub__(self, other: Amount) -> Amount:
        return Amount(
            usd=self.usd - other.usd,
            tokens=self.tokens - other.tokens,
            calls=self.calls - other.calls,
        )


NOTHING: Final = Amount()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The most that a call can cost, and who asks."""

    amount: Amount
    role: str
    model: str
    is_priced: bool = True


def input_tokens(request: Request) -> int:
    """Return an upper bound of the prompt's tokens: every token has at least a byte."""
    tokens = _MESSAGE_TOKENS
    for message in request.messages:
        tokens += _MESSAGE_TOKENS
        for name, part in message.items():
            tokens += _part_tokens(name, part)
    return tokens + sum(_argument_tokens(value) for value in request.args.values())


def _part_tokens(name: str, part: Any) -> int:
    if name == "content" and isinstance(part, list):
        return sum(_block_tokens(block) for block in part)
    return _argument_tokens(part)


def _block_tokens(block: Any) -> int:
    is_text = isinstance(block, str) or block.get("type") == "text"
    return _argument_tokens(block) + (_MESSAGE_TOKENS if is_text else _BLOCK_TOKENS)


def _argument_tokens(value: Any) -> int:
    """Tools and schemas are part of the prompt, so every argument counts."""
    if value is None or isinstance(value, (bool, int, float)):
        return 0
    text = value if isinstance(value, str) else canonical(value)
    return len(text.encode("utf-8", "surrogatepass"))


def output_tokens(args: Mapping[str, Any], default: int) -> int:
    """Return the most tokens a reply may have: as the arguments say, or ``default``."""
    for name in ("max_completion_tokens", "max_tokens"):
        if args.get(name) is not None:
            return int(args[name])
    return default


def worst_case(
    request: Request, model: str | None, *, prices: PriceBook, default_output: int
) -> Worst:
    """Return the most that ``request`` can cost when ``model`` answers it."""
    prompt = input_tokens(request)
    reply = output_tokens(request.args, default_output)
    usage = Usage(input_tokens=prompt, output_tokens=reply)
    usd = prices.cost(usage, model)
    return Worst(
        amount=Amount(usd=usd or Decimal(0), tokens=prompt + reply, calls=1),
        role=request.role,
        model=model or "",
        is_priced=usd is not None,
    )
