"""Copied requests: only the body may differ from what the SDK would send."""

import datetime as dt
import json

import anthropic
import openai
import pytest

from afnio._dispatch import run_sync
from afnio.models._template import Templates, prepare
from afnio.models.anthropic import Anthropic
from afnio.models.openai import OpenAI

CHAT = "/v1/chat/completions"


def sent(request):
    """Return what of a request reaches the server."""
    headers = {k.lower(): v for k, v in request.headers.items()}
    return request.method, str(request.url), headers, request.read()


@pytest.mark.parametrize(
    ("sdk", "path"),
    [
        (openai.AsyncOpenAI, "/chat/completions"),
        (anthropic.AsyncAnthropic, "/v1/messages"),
    ],
)
def test_a_copy_is_what_the_sdk_would_send(sdk, path):
    """Method, address, every header and the body are the same, byte for byte."""
    client = sdk(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)
    options = [
        _options(sdk, path, text) for text in ("first", "a longer text — with ünïcode")
    ]
    theirs = [sent(client._build_request(one)) for one in options]
    prepare(client)
    assert isinstance(client._build_request, Templates)
    ours = [sent(client._build_request(one)) for one in options]
    assert ours == theirs


def _options(sdk, path, text, **more):
    module = openai if sdk is openai.AsyncOpenAI else anthropic
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    kind = module._models.FinalRequestOptions
    return kind.construct(method="post", url=path, json_data=body, **more)


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"x-own": "1"}},
        {"params": {"q": "1"}},
        {"extra_json": {"seed": 1}},
        {"timeout": 3.0},
        {"timeout": None},
    ],
    ids=str,
)
def test_a_call_with_options_of_its_own_is_built_by_the_sdk(more):
    """Headers, query, body and timeouts of one call reach the request."""
    client = openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    build = client._build_request
    prepare(client)
    client._build_request(_options(openai.AsyncOpenAI, "/x", "a"))
    options = _options(openai.AsyncOpenAI, "/x", "a", **more)
    ours, theirs = client._build_request(options), build(options)
    assert sent(ours) == sent(theirs)
    assert ours.extensions == theirs.extensions


def test_values_that_only_the_sdk_can_write_are_left_to_it():
    """A time in the body takes the long way, also when a template is there."""
    client = openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    prepare(client)
    client._build_request(_options(openai.AsyncOpenAI, "/x", "a"))
    options = _options(openai.AsyncOpenAI, "/x", dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    body = json.loads(client._build_request(options).read())
    assert body["messages"][0]["content"].startswith("2026-01-02")


@pytest.mark.loopback
def test_a_new_key_is_used_at_once(httpserver, chat_body, ask):
    """A key that changes between calls changes the request, and cookies come back."""
    httpserver.expect_request(CHAT).respond_with_json(
        chat_body(), headers={"Set-Cookie": "lb=one; Path=/"}
    )
    keys = iter(["first", "second", "second"])
    url = httpserver.url_for("/v1")
    client = OpenAI(api_key=lambda: next(keys), base_url=url, model="m")
    client.set_price("m", input=1, output=1)
    for text in "abc":
        client.chat(ask(text))
    client.close()
    seen = [request.headers for request, _ in httpserver.log]
    assert [h["Authorization"] for h in seen] == [
        "Bearer first",
        "Bearer second",
        "Bearer second",
    ]
    assert [h.get("Cookie") for h in seen] == [None, "lb=one", "lb=one"]


@pytest.mark.parametrize(
    ("client", "attribute"),
    [
        (OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1"), "OpenAI"),
        (Anthropic(api_key="k", base_url="http://127.0.0.1:9"), "Anthropic"),
    ],
    ids=["openai", "anthropic"],
)
def test_both_sdks_are_as_we_know_them(client, attribute):
    """If a release renames what is used here, calls get slower; this test says so."""

    async def look():
        return await client._sdk()

    sdk = run_sync(look())
    assert attribute in type(sdk).__name__
    assert isinstance(sdk._build_request, Templates)
    client.close()


def test_an_unknown_sdk_is_left_alone():
    """Nothing is changed on a client without the methods we know."""
    client = object()
    prepare(client)
