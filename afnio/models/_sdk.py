"""What clients on the official SDKs share: keys, connections, and errors in our words.

An SDK is imported when the first call is made, on a thread, with its own retries off.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from functools import cached_property, partial
from hashlib import sha256
from importlib import import_module
from typing import Any, ClassVar, Final, TypeVar, Unpack

from afnio._dispatch import in_thread
from afnio.errors import InputValueError, MissingExtraError, ModelTimeoutError
from afnio.models._answers import Answer, TakeEvent, read_body, request_id, take_event
from afnio.models._call import asks_nobody
from afnio.models._client_settings import (
    SdkOptions,
    check_settings,
    check_timeout,
    checked_key,
    checked_url,
    is_self_hosted,
    no_key,
    query_of,
    secrets_of,
    split_login,
    without_credentials,
)
from afnio.models._faults import (
    TOO_LATE,
    clean,
    response_type,
    translated,
    transport_errors,
)
from afnio.models._keys import digest_values
from afnio.models._limits import Limits
from afnio.models._loop_local import LoopLocal
from afnio.models._prices import PriceBook
from afnio.models._quota_headers import read_news
from afnio.models._retry import RetryPolicy
from afnio.models._template import prepare
from afnio.models._transport import quicken
from afnio.models._unicode import encodable
from afnio.models.model import ChatCompletionModel

T = TypeVar("T")

_DUMMY_KEY: Final = "none"
"""Sent to servers of one's own, which ask for no key."""

_OPTIONS: Final = {
    "extra_body": "extra_json",
    "extra_headers": "headers",
    "extra_query": "params",
    "timeout": "timeout",
}
"""Arguments that are no part of the body, and what the SDKs' ``post`` calls them."""


class _Secret:
    """A key that shows itself to nobody who does not ask."""

    __slots__ = ("reveal",)

    def __init__(self, value: Any) -> None:
        self.reveal: Callable[[], Any] = lambda: value

    def __repr__(self) -> str:
        return "<secret>"


class SdkModel(ChatCompletionModel):
    """A client that asks through an official SDK.

    Args:
        api_key: The key, or a function that returns it; wins over the environment.
        base_url: Another endpoint. Servers of one's own need no key.
        model: The model asked when a call names none.
        timeout: Seconds for one attempt; the SDK's own default where None.
        max_retries: Further attempts after retryable errors.
        **options: See `SdkOptions`. ``retry`` replaces ``max_retries``; ``limits`` are
            shared by all clients with one endpoint and key.

    Raises:
        AuthError: There is no key, neither given nor in the environment, or it holds
            what no key does. Under a `plan` or a replay none is needed.
        InputTypeError: A setting is of another kind, or there is no such setting.
        InputValueError: The address is no URL, or a number is too small.
    """

    _package: ClassVar[str]
    _sdk_class: ClassVar[str]
    _key_variable: ClassVar[str]
    _url_variable: ClassVar[str]
    _default_url: ClassVar[str]

    def __init__(
        self,
        *,
        api_key: str | Callable[[], Any] | None = None,
        base_url: str | None = None,
        model: str | None = None,
        timeout: Any = None,
        max_retries: int = 5,
        **options: Unpack[SdkOptions],
    ) -> None:
        settings = {"base_url": base_url, "model": model, "max_retries": max_retries}
        check_settings(type(self).__name__, {"api_key": api_key, **settings}, options)
        self.model = model
        url = self._find_url(base_url)
        self._url = _Secret(url)
        self._base_url = without_credentials(url)
        check_timeout(timeout)
        self._key = _Secret(self._find_key(api_key, options))
        self._timeout = timeout
        self._retry = options.pop("retry", None) or RetryPolicy(max_retries=max_retries)
        self._limits = options.pop("limits", None) or Limits()
        usage = options.pop("usage", None)
        self._options = _Secret({k: v for k, v in options.items() if v is not None})
        self._clients: LoopLocal[Any] = LoopLocal(self._connect)
        super().__init__(self._package, self._describe(options), usage)
        own = self._base_url == self._default_url
        self._prices = PriceBook(
            self._package,
            api_url=None if own else self._base_url,
            warns=not is_self_hosted(self._base_url),
        )

    @property
    def endpoint(self) -> str:
        """The base URL."""
        return self._base_url

    @cached_property
    def _account(self) -> Hashable:
        key = self._key.reveal() or self._options.reveal().get("auth_token")
        if isinstance(key, str):
            key = sha256(key.encode("utf-8", "surrogatepass")).digest()
        else:
            key = id(key)
        config = self._config or {}
        return key, config.get("organization"), config.get("project")

    @property
    def identity(self) -> Mapping[str, Any]:
        """Provider, endpoint, organization, project, and digests of headers."""
        return {"provider": self._provider, **(self._config or {})}

    async def aclose(self) -> None:
        """Close connections; the client opens new ones when asked again."""
        if (client := self._clients.pop()) is not None:
            await client.close()

    def _find_url(self, given: Any) -> str:
        if given is not None:
            return checked_url(str(given), "base_url")
        found = os.environ.get(self._url_variable)
        return checked_url(found or self._default_url, self._url_variable)

    def _find_key(self, given: Any, options: SdkOptions) -> Any:
        who = type(self).__name__
        if given is not None or options.get("workload_identity"):
            return checked_key(who, given, "api_key")
        if options.get("auth_token"):
            return None
        if key := os.environ.get(self._key_variable):
            return checked_key(who, key, self._key_variable)
        if self._base_url != self._default_url:
            return _DUMMY_KEY
        if asks_nobody():
            return ""  # no key, and no error before something is to be sent
        raise no_key(who, self._key_variable)

    def _describe(self, options: SdkOptions) -> dict[str, Any]:
        """Return the settings as JSON data, with digests for what may be secret."""
        return {
            "base_url": self._base_url,
            "default_headers": digest_values(options.get("default_headers")),
            "default_query": digest_values(
                {**query_of(self._url.reveal()), **(options.get("default_query") or {})}
            ),
            "organization": options.get("organization"),
            "project": options.get("project"),
        }

    async def _sdk(self) -> Any:
        """Return the SDK's client of this loop, importing the SDK off the loop."""
        if (client := self._clients.peek()) is not None:
            return client
        try:
            await in_thread(import_module, self._package)
        except ImportError as error:
            raise MissingExtraError(
                f"{type(self).__name__} needs the {self._package} package: "
                f"pip install {self._package}"
            ) from error
        return self._clients.get()

    def _connect(self) -> Any:
        make = getattr(import_module(self._package), self._sdk_class)
        if (key := self._key.reveal()) == "":
            raise no_key(type(self).__name__, self._key_variable)
        options = dict(self._options.reveal())
        if key is not None:
            options["api_key"] = key
        if self._timeout is not None:
            options["timeout"] = self._timeout
        if callable(make_http := options.get("http_client")):
            options["http_client"] = make_http()
        url = self._url.reveal()
        url, headers = split_login(url, options.pop("default_headers", None))
        client = make(base_url=url, default_headers=headers, max_retries=0, **options)
        if options.get("http_client") is None:
            quicken(getattr(client, "_client", None))
        prepare(client)
        return client

    async def _post(self, path: str, args: Mapping[str, Any], body: Any) -> Answer:
        """Ask once; the SDK brings authentication, headers, connection and errors.

        Bodies pass by the SDK's typed methods, which spend as much time on checking
        them as everything else takes; what they hold was checked by afnio.

        Args:
            path: Below the base URL.
            args: Arguments of the call, ``timeout`` and ``extra_…`` among them.
            body: Messages and the like, which come before ``args``.

        Raises:
            ModelError: The attempt failed.
        """
        who = self._endpoint_name(args.get("model"))
        work = self._ask(await self._sdk(), path, args, body)
        limit = args.get("timeout", self._timeout)
        if isinstance(limit, (int, float)):
            # the SDK's timeouts begin anew with every byte of a body that trickles in
            work = _within(work, limit, who)
        response = await self._guarded(work, args.get("model"))
        return read_body(response, who)

    def _hear(self, model: str | None, response: Any, started: float) -> None:
        """Tell the limiter what an answer says of the provider's limits."""
        news = read_news(response.headers.raw)
        if news and (limiter := self._limiter()) is not None:
            limiter.hear(model or "", news, started)

    async def _listen(
        self, path: str, args: Mapping[str, Any], body: Any, take: TakeEvent
    ) -> str | None:
        """Ask once for a stream; hand each event to ``take``; return the request id.

        Raises:
            ModelError: The attempt failed, or the stream broke off.
        """
        sdk, who = await self._sdk(), self._endpoint_name(args.get("model"))

        async def listen() -> str | None:
            response = await self._ask(sdk, path, args, body, stream=True)
            try:
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        take_event(line[5:].strip(), take, who)
                return request_id(response)
            finally:
                await response.aclose()

        return await self._guarded(listen(), args.get("model"))

    async def _ask(
        self,
        sdk: Any,
        path: str,
        args: Mapping[str, Any],
        body: Any,
        *,
        stream: bool = False,
    ) -> Any:
        package, started = sys.modules[self._package], time.monotonic()
        unsaid = package.NOT_GIVEN  # left out, the SDK makes deep copies of its own
        options = {"headers": unsaid, "timeout": unsaid, "max_retries": 0}
        for given, name in _OPTIONS.items():
            if given in args:
                options[name] = args[given]
        sent = {name: args[name] for name in args if name not in _OPTIONS}
        post = partial(
            sdk.post,
            path,
            cast_to=response_type(package),
            options=options,
            stream=stream,
        )
        try:
            try:
                response = await post(body={**sent, **body})
            except UnicodeEncodeError:
                response = await post(body=encodable({**sent, **body}))
        except package.APIStatusError as error:
            self._hear(args.get("model"), error.response, started)
            raise
        self._hear(args.get("model"), response, started)
        return response

    async def _guarded(self, work: Coroutine[Any, Any, T], model: str | None) -> T:
        """Await ``work``, turning the SDK's errors into ours, without keys."""
        sdk = sys.modules[self._package]
        try:
            return await work
        except UnicodeEncodeError:
            raise InputValueError(
                f"the call of {self._endpoint_name(model)} has a header that holds a "
                "character beyond ASCII; look at extra_headers."
            ) from None
        except (sdk.APIError, *transport_errors()) as error:
            secrets = self._secrets()
            ours = translated(sdk, error, self._endpoint_name(model), secrets)
            ours.model = model
            is_clean = clean(str(error), secrets) == str(error)
            raise ours from (error if is_clean else None)

    def _secrets(self) -> list[str]:
        """Return what no error may show."""
        key = self._key.reveal()
        found = secrets_of(self._url.reveal(), self._options.reveal())
        return [*found, key] if isinstance(key, str) and key != _DUMMY_KEY else found

    @staticmethod
    def _in_body(args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that are part of a body, ``extra_body`` merged in."""
        body = {name: value for name, value in args.items() if name not in _OPTIONS}
        return {**body, **(args.get("extra_body") or {})}

    def _endpoint_name(self, model: str | None) -> str:
        return f"{model!r} at {self._base_url}"


async def _within(work: Awaitable[T], seconds: float, who: str) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise ModelTimeoutError(TOO_LATE.format(who)) from error
