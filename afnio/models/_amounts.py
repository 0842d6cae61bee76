"""Amounts that budgets count, and the most that a call can cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from afnio.errors import InputValueError
from afnio.models._keys import canonical
from afnio.models._messages import Reply, Request
from afnio.models._prices import PriceBook
from afnio.models._usage import Usage

_MESSAGE_TOKENS: Final = 16
"""Counted for what a provider wraps around each message."""

_BLOCK_TOKENS: Final = 8192
"""Counted for an image, audio or file block, besides its bytes."""

_IMAGES: Final = frozenset({"image", "image_url"})
_TEXTS: Final = frozenset({"text", "tool_use", "tool_result", "thinking"})
"""Kinds of content blocks."""

_TYPICAL_MESSAGE_TOKENS: Final = 4
_TYPICAL_BLOCK_TOKENS: Final = 1024
_BYTES_PER_TOKEN: Final = 4


_LIMITS: Final = ("max_completion_tokens", "max_tokens")
"""Arguments that limit a reply; the first one given holds."""

_OTHER_LIMITS: Final = ("max_output_tokens", "n_predict", "num_predict")
"""What other servers call it."""


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
    prompt: Amount
    """The prompt's part of it, once."""
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
    kind = "text" if isinstance(block, str) else block.get("type")
    if kind in _IMAGES:  # counted by size of the picture, not of the file
        return _BLOCK_TOKENS
    wrap = _MESSAGE_TOKENS if kind in _TEXTS else _BLOCK_TOKENS
    return _argument_tokens(block) + wrap


def _argument_tokens(value: Any) -> int:
    """Tools and schemas are part of the prompt, so every argument counts."""
    if value is None or isinstance(value, (bool, int, float)):
        return 0
    text = value if isinstance(value, str) else canonical(value)
    return len(text.encode("utf-8", "surrogatepass"))


def output_tokens(args: Mapping[str, Any], default: int) -> int:
    """Return the most tokens a reply may have: as the arguments say, or ``default``."""
    body = {**args, **(args.get("extra_body") or {})}
    given = [body[name] for name in _LIMITS if body.get(name) is not None]
    most = given[0] if given else default
    extra = [body[name] for name in _OTHER_LIMITS if body.get(name) is not None]
    return int(max([most, *extra])) * int(body.get("best_of") or 1)


def worst_case(
    request: Request, model: str | None, *, prices: PriceBook, default_output: int
) -> Worst:
    """Return the most that ``request`` can cost when ``model`` answers it.

    Raises:
        InputValueError: The arguments lift every limit.
    """
    prompt = input_tokens(request)
    reply = output_tokens(request.args, default_output)
    if reply < 0:
        raise InputValueError(
            f"the {request.role} call of {model!r} may get a reply of {reply} tokens, "
            "which servers take for no limit at all, and no budget can hold without "
            "one; give max_tokens as 0 or more."
        )
    usage = Usage(input_tokens=prompt, output_tokens=reply)
    usd = prices.cost(usage, model)
    prompt_usd = prices.cost(Usage(input_tokens=prompt), model)
    return Worst(
        amount=Amount(usd=usd or Decimal(0), tokens=prompt + reply, calls=1),
        prompt=Amount(usd=prompt_usd or Decimal(0), tokens=prompt),
        role=request.role,
        model=model or "",
        is_priced=usd is not None,
    )


def amount_of(usage: Usage) -> Amount:
    """Return what one attempt of a call costs its budgets."""
    return Amount(usd=usage.cost_usd, tokens=usage.total_tokens)


def charge(worst: Worst, usage: Usage, *, sent: int, lost: int) -> Amount:
    """Return what a call costs its budgets.

    A provider may bill an attempt that timed out or was cancelled under way: each costs
    the prompt as it was reserved, as far as the reservation reaches.

    Args:
        worst: What was reserved.
        usage: What the reply reports; nothing if there is none.
        sent: Attempts made; a call that never started costs nothing.
        lost: Attempts that timed out or were cancelled.
    """
    usd, tokens = usage.cost_usd, usage.total_tokens
    return Amount(
        usd=max(usd, min(worst.amount.usd, usd + lost * worst.prompt.usd)),
        tokens=max(
            tokens, min(worst.amount.tokens, tokens + lost * worst.prompt.tokens)
        ),
        calls=min(1, sent),
    )


def typical_tokens(request: Request) -> int:
    """Return plausible tokens of the messages: four bytes to a token."""
    return sum(
        _TYPICAL_MESSAGE_TOKENS + _typical_tokens(message.get("content"))
        for message in request.messages
    )


def estimated_usage(request: Request, reply: Reply) -> Usage:
    """Return plausible usage for a reply that reports none: four bytes to a token."""
    said = [reply.text, reply.refusal, reply.reasoning]
    said += [canonical(tool.arguments) for tool in reply.tool_calls]
    return Usage(
        input_tokens=typical_tokens(request),
        output_tokens=sum(map(_typical_tokens, said)),
        estimated=True,
    )


def _typical_tokens(content: Any) -> int:
    if isinstance(content, str):
        size = len(content.encode("utf-8", "surrogatepass"))
        return -(-size // _BYTES_PER_TOKEN)
    if isinstance(content, (list, tuple)):
        return sum(map(_typical_tokens, content))
    if isinstance(content, Mapping):
        return _typical_tokens(content.get("text")) or _TYPICAL_BLOCK_TOKENS
    return 0
