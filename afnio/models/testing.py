"""Models for tests: answers from a script, or from a recording. No network, no key."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from afnio._dispatch import call_user
from afnio._text import shorten
from afnio.errors import InputTypeError, StateError
from afnio.models._checks import check_number
from afnio.models._messages import Reply, Request
from afnio.models._recorded import Double, RecordedModel
from afnio.models._scripts import edits, feedback, in_tags, rewriting, text_of
from afnio.models._stream import Emit
from afnio.models._usage import Usage

__all__ = [
    "RecordedModel",
    "ScriptedModel",
    "edits",
    "feedback",
    "in_tags",
    "rewriting",
]

Answer: TypeAlias = str | Reply | Exception | None
Replies: TypeAlias = (
    Sequence[Answer] | Mapping[str, Answer] | Callable[..., Any] | str | Reply
)

_BYTES_PER_TOKEN: Final = 4
_WORD: Final = re.compile(r"\s*\S+|\s+")


class ScriptedModel(Double):
    """A model that answers from a script and remembers every request.

    It goes through the whole call path, costs nothing and reports plausible usage: one
    token for every four bytes.

    Args:
        replies: What it answers:
            a list is used up in the order of requests, and running out is an error;
            a dict answers with the value of the first key that the last message
            contains, or else any message, or else of the key ``""``;
            a function is called as ``replies(messages, **args)``, plain or ``async``;
            one text or `Reply` answers everything. An exception among the answers is
            raised.
        latency_s: Seconds each answer takes.
        model: The name it goes by.
        name: Stands in cache keys, so that two scripts can share one cache.
        default_max_tokens: Reply tokens a budget reserves for a call without a maximum.

    Examples:
        >>> model = ScriptedModel(["Hello!"])
        >>> model.chat([{"role": "user", "content": "Hi"}])
        'Hello!'
        >>> len(model.requests)
        1
    """

    def __init__(
        self,
        replies: Replies = (),
        *,
        latency_s: float = 0.0,
        model: str = "scripted",
        name: str = "scripted",
        default_max_tokens: int = 256,
    ) -> None:
        super().__init__("scripted", {"name": name}, model)
        check_number("latency_s", latency_s)
        check_number("default_max_tokens", default_max_tokens, whole=True)
        self.default_max_tokens = default_max_tokens
        self.latency_s = latency_s
        self.requests: list[Request] = []
        self._script = _script(replies)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The name only: the same script in another process is the same model."""
        return {"client": "ScriptedModel", **(self._config or {})}

    async def _send(self, request: Request) -> Reply:
        self.requests.append(request)
        answer = self._script(request)
        if inspect.isawaitable(answer):
            answer = await answer
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if isinstance(answer, Exception):
            raise answer
        return _as_reply(answer, request)

    async def _stream(self, request: Request, emit: Emit) -> Reply:
        """Answer as `_send`, word by word."""
        reply = await self._send(request)
        for word in _WORD.findall(reply.text or ""):
            emit(word)
        return reply


def _script(replies: Replies) -> Callable[[Request], Any]:
    """Return the function that finds the answer to a request."""
    if isinstance(replies, (str, Reply)):
        return lambda _request: replies
    if callable(replies):
        return lambda request: call_user(
            partial(replies, list(request.messages), **request.args)
        )
    if isinstance(replies, Mapping):
        return lambda request: _matching(replies, request)
    if isinstance(replies, Sequence):
        return _InOrder(replies)
    raise InputTypeError(
        f"replies is {type(replies).__name__}; expected a list, a dict, a function, a "
        "text or a Reply."
    )


class _InOrder:
    """Hands answers out one by one."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self._used = 0

    def __call__(self, request: Request) -> Answer:
        if self._used == len(self._answers):
            raise StateError(
                f"the script has {self._used} replies, all used; request "
                f"{self._used + 1} is {_describe(request)}."
            )
        self._used += 1
        return self._answers[self._used - 1]


def _matching(answers: Mapping[str, Answer], request: Request) -> Answer:
    last = text_of(request.messages[-1])
    everything = "\n".join(map(text_of, request.messages))
    for text in (last, everything):
        for key, answer in answers.items():
            if key and key in text:
                return answer
    if "" in answers:
        return answers[""]
    known = ", ".join(repr(shorten(key, 30)) for key in answers)
    raise StateError(
        f"no scripted reply matches {_describe(request)}; the script knows {known}."
    )


def _describe(request: Request) -> str:
    last = request.messages[-1]
    return f"a {request.role} call ending in {last['role']}: {shorten(text_of(last))!r}"


def _as_reply(answer: Any, request: Request) -> Reply:
    if isinstance(answer, Reply):
        return answer
    if answer is not None and not isinstance(answer, str):
        raise InputTypeError(
            f"the script answered with {type(answer).__name__}; expected a text, a "
            "Reply or an exception."
        )
    prompt = sum(len(text_of(message)) for message in request.messages)
    usage = Usage(
        input_tokens=_tokens(prompt), output_tokens=_tokens(len(answer or ""))
    )
    return Reply(answer, usage=usage)


def _tokens(characters: int) -> int:
    return -(-characters // _BYTES_PER_TOKEN)
