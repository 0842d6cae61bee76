"""Settings of clients: what there is, and what is refused at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit, urlunsplit

from afnio._text import closest
from afnio.errors import InputTypeError, InputValueError
from afnio.models._limits import Limits
from afnio.models._retry import RetryPolicy


class SdkOptions(TypedDict, total=False):
    """Further settings of a client; what is not ours goes to the SDK as it is."""

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


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "api_key": (str,),
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
_PATHS: Final = ("http://", "https://")


def check_settings(
    who: str, settings: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Raise if a setting of client ``who`` cannot be meant.

    Raises:
        InputTypeError: One is of another kind, or there is no such setting.
        InputValueError: The address is no URL.
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
    url = settings.get("base_url")
    if url is not None and not str(url).startswith(_PATHS):
        raise InputValueError(
            f"base_url is {str(url)!r}; expected a URL that starts with http:// or "
            "https://."
        )
    client = options.get("http_client")
    if client is not None and not hasattr(client, "aclose"):
        raise InputTypeError(
            f"http_client is {type(client).__name__}; expected an AsyncClient: "
            "afnio's calls are asynchronous inside, also those of blocking methods."
        )


def _check_kind(who: str, name: str, value: Any) -> None:
    kinds = _KINDS.get(name)
    if kinds is None or value is None or (name == "api_key" and callable(value)):
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


def without_credentials(url: str) -> str:
    """Return ``url`` without the user and password that may stand in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return url if host == parts.netloc else urlunsplit(parts._replace(netloc=host))


def is_self_hosted(url: str) -> bool:
    """Whether ``url`` leads to a machine of one's own, where calls have no price."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    is_local = host.endswith((".local", ".internal", ".lan", ".localhost"))
    return is_local or "." not in host
