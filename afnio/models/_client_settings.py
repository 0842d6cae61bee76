"""Settings of clients: what there is, and what is refused at once."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, TypedDict
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from afnio._text import closest, shorten
from afnio.errors import AuthError, InputTypeError, InputValueError
from afnio.models._checks import check_number
from afnio.models._limits import Limits
from afnio.models._retry import RetryPolicy


class SdkOptions(TypedDict, total=False):
    """Further settings of a client; what is not ours goes to the SDK as it is.

    ``http_client`` is an ``AsyncClient``, or a class or function that makes one: then
    each event loop has one of its own, and a client that was closed opens another.
    """

    organization: str | None
    project: str | None
    default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    http_client: Any
    workload_identity: Any
    webhook_secret: str | None
    websocket_base_url: str | None
    auth_token: str | None
    limits: Limits | None
    retry: RetryPolicy | None
    usage: Mapping[str, Any] | None


_BASIC: Final = "Basic "

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "api_key": (str,),
    "auth_token": (str,),
    "default_headers": (Mapping,),
    "default_query": (Mapping,),
    "limits": (Limits,),
    "max_retries": (int,),
    "model": (str,),
    "organization": (str,),
    "project": (str,),
    "retry": (RetryPolicy,),
    "usage": (Mapping,),
}


def check_settings(
    who: str, settings: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Raise if a setting of client ``who`` cannot be meant.

    Raises:
        InputTypeError: One is of another kind, or there is no such setting.
        InputValueError: One holds what no header can.
    """
    known = [*SdkOptions.__annotations__, *settings, "timeout"]
    for name in options:
        if name not in known:
            raise InputTypeError(
                f"{who} has no setting {name!r}; {closest(name, known)} Arguments of "
                "calls, such as temperature, go to the call."
            )
    for name, value in {**settings, **options}.items():
        _check_kind(who, name, value)
    for header in ("organization", "project", "auth_token"):
        _check_header(who, header, options.get(header))
    for header, value in (options.get("default_headers") or {}).items():
        _check_header(who, f"the default header {header!r}", value)
    client = options.get("http_client")
    is_maker = callable(client) and not isinstance(client, type)
    if client is not None and not is_maker and not hasattr(client, "aclose"):
        kind = client if isinstance(client, type) else type(client)
        raise InputTypeError(
            f"http_client is {kind.__name__}; expected an AsyncClient, or what makes "
            "one: afnio's calls are asynchronous inside, those of blocking methods too."
        )


def _check_kind(who: str, name: str, value: Any) -> None:
    kinds = _KINDS.get(name)
    is_source = name == "api_key" and callable(value) and not isinstance(value, type)
    if kinds is None or value is None or is_source:
        return
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InputTypeError(
            f"{name} of {who} is {type(value).__name__}; expected "
            f"{' or '.join(kind.__name__ for kind in kinds)}."
        )


def check_model(args: Mapping[str, Any]) -> None:
    """Raise unless the arguments of a call name a model.

    Raises:
        InputValueError: There is none.
        InputTypeError: It is no text.
    """
    model = args.get("model")
    if not model:
        raise InputValueError("no model named; pass model=… to the call or the client.")
    if not isinstance(model, str):
        raise InputTypeError(
            f"model is {type(model).__name__}; expected a model's name, such as "
            "'gpt-4o'."
        )


def _check_header(who: str, name: str, value: Any) -> None:
    """Raise if ``value`` cannot stand in a header; it may be secret, so never show it.

    Raises:
        InputValueError: It holds what no header can.
    """
    if isinstance(value, str) and not is_sendable(value):
        raise InputValueError(
            f"{name} of {who} holds a character that no HTTP header can: not ASCII, a "
            "line break, or a space at an end. Copy it again."
        )


def is_sendable(value: str) -> bool:
    """Whether ``value`` can stand in a header as it is."""
    return value.isascii() and value.isprintable() and value == value.strip()


def checked_key(who: str, key: Any, source: str) -> Any:
    """Return ``key`` if it can be sent.

    Raises:
        AuthError: It is empty, or holds what no header can; the key is not shown.
    """
    if not isinstance(key, str) or (key and is_sendable(key)):
        return key
    what = (
        "holds a character that keys have not: not ASCII, a line break, or a space at "
        "an end"
    )
    raise AuthError(
        f"the API key of {who} ({source}) {what if key else 'is empty'}. Copy it again."
    )


def no_key(who: str, variable: str) -> AuthError:
    """Return the error for a client without a key."""
    return AuthError(
        f"{who} has no API key: pass api_key=… or set {variable}. A server of your own "
        "(base_url=…) needs none."
    )


def checked_url(url: str, source: str) -> str:
    """Return an address without a slash at its end.

    Raises:
        InputValueError: It is no URL that can be asked.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
        problem = None if parts.hostname else "it has no host"
    except ValueError as error:
        raise InputValueError(
            f"{source} is no URL: {shorten(error)}; expected one such as "
            "https://host:8000/v1."
        ) from error
    if parts.scheme not in ("http", "https"):
        problem = "it does not start with http:// or https://"
    elif any(c.isspace() or not c.isprintable() for c in url):
        problem = "it holds a space or a control character"
    if problem is not None:
        shown = without_credentials(url)
        raise InputValueError(
            f"{source} is {shown!r}: {problem}; expected a URL such as "
            "https://host:8000/v1."
        )
    return url.rstrip("/")


def without_credentials(url: str) -> str:
    """Return ``url`` without what may be secret: user, password, values of the query.

    Examples:
        >>> without_credentials("https://me:pw@host/v1?key=abc")
        'https://host/v1?key=***'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "&".join(f"{name}=***" for name in names)
    return urlunsplit(parts._replace(netloc=host, query=query, fragment=""))


def check_timeout(timeout: Any) -> None:
    """Raise unless it is seconds, or an SDK's own kind of timeout."""
    if timeout is not None and not hasattr(timeout, "connect"):
        check_number("timeout", timeout, above=True)


def secrets_of(url: str, options: Mapping[str, Any]) -> list[str]:
    """Return what no error may show of an address and settings, as it is sent."""
    parts = urlsplit(url)
    found = [value for _, value in parse_qsl(parts.query)]
    found += [value.partition("=")[2] for value in parts.query.split("&")]
    if userinfo := unquote(parts.netloc.rpartition("@")[0]):
        found += [userinfo, userinfo.partition(":")[2]]
        found += [value[len(_BASIC) :] for value in split_login(url, None)[1].values()]
    found.append(options.get("auth_token") or "")
    for name in ("default_headers", "default_query"):
        found += map(str, (options.get(name) or {}).values())
    return [value for value in found if value]


def split_login(
    url: str, headers: Mapping[str, str] | None
) -> tuple[str, dict[str, str]]:
    """Return ``url`` without user and password, and ``headers`` with them instead.

    HTTP libraries send the same header, but they also write the address to their log.

    Examples:
        >>> split_login("https://me:pw@host/v1", None)
        ('https://host/v1', {'Authorization': 'Basic bWU6cHc='})
    """
    parts, given = urlsplit(url), dict(headers or {})
    userinfo, _, host = parts.netloc.rpartition("@")
    if not userinfo:
        return url, given
    user, _, password = userinfo.partition(":")
    login = f"{unquote(user)}:{unquote(password)}".encode("utf-8", "surrogatepass")
    kept = {k: v for k, v in given.items() if k.lower() != "authorization"}
    header = _BASIC + b64encode(login).decode()
    return urlunsplit(parts._replace(netloc=host)), {**kept, "Authorization": header}


def query_of(url: str) -> dict[str, str]:
    """Return the query of ``url`` by name."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def is_self_hosted(url: str) -> bool:
    """Whether ``url`` leads to a machine of one's own, where calls have no price."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    is_local = host.endswith((".local", ".internal", ".lan", ".localhost"))
    return is_local or "." not in host
