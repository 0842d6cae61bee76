"""Rate-limit headers: what providers send, and what is no such thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.models._quota_headers import News, read_news

DATE = (b"Date", b"Fri, 13 Mar 2026 12:00:00 GMT")


def openai(kind=b"requests", limit=b"60", remaining=b"59", reset=b"1s"):
    """Build OpenAI's three headers of one kind."""
    return [
        (b"x-ratelimit-limit-" + kind, limit),
        (b"X-RateLimit-Remaining-" + kind, remaining),
        (b"x-ratelimit-reset-" + kind, reset),
    ]


def test_openai_s_headers_are_read():
    """Requests and tokens, whatever the case of the names."""
    news = read_news(openai() + openai(b"tokens", b"150000", b"149984", b"6m0s"))
    assert news == {
        "requests": News(60, 59, 1.0),
        "tokens": News(150000, 149984, 360.0),
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"120ms", 0.12),
        (b"8.64s", 8.64),
        (b"1m30s", 90.0),
        (b"1h0m1s", 3601.0),
        (b"1d", 86400.0),
        (b"2", 2.0),
        (b"2m59.56s", 179.56),
        (b"1s500ms", 1.5),
    ],
)
def test_durations(text, seconds):
    """Every form that servers with OpenAI's API send."""
    [news] = read_news(openai(reset=text)).values()
    assert news.reset_s == pytest.approx(seconds)


def test_anthropic_s_headers_are_read_by_the_server_s_clock():
    """Times are compared with the answer's date; whole seconds are rounded up."""
    headers = [DATE]
    for kind, reset in (
        (b"requests", b"2026-03-13T12:00:30Z"),
        (b"tokens", b"2026-03-13T12:00:30.500Z"),
        (b"input-tokens", b"2026-03-13T11:00:00Z"),
        (b"output-tokens", b"2026-03-13T13:00:10+01:00"),
    ):
        name = b"anthropic-ratelimit-" + kind
        headers += [
            (name + b"-limit", b"50"),
            (name + b"-remaining", b"10"),
            (name + b"-reset", reset),
        ]
    assert read_news(headers) == {
        "requests": News(50, 10, 31.0),
        "used_tokens": News(50, 10, 30.5),
        "input_tokens": News(50, 10, 0.0),
        "output_tokens": News(50, 10, 11.0),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"limit": b"0"},
        {"limit": b"-5"},
        {"limit": b"many"},
        {"limit": b"9" * 5000},
        {"remaining": b""},
        {"remaining": b"nan"},
        {"remaining": "٣".encode()},
        {"reset": b""},
        {"reset": b"soon"},
        {"reset": b"-1s"},
        {"reset": b"1e400"},
        {"reset": b"2026-03-13T12:00:30"},
        {"reset": b"9" * 5000},
        {"reset": b"\xff\xfe"},
    ],
)
def test_garbage_says_nothing(change):
    """A header that is no number or time is as good as absent."""
    assert read_news(openai(**change)) == {}


def test_more_left_than_there_is_is_all_there_is():
    """What remains is at most the limit."""
    assert read_news(openai(remaining=b"99"))["requests"].remaining == 60


@given(st.lists(st.tuples(st.sampled_from([n for n, _ in openai()]), st.binary())))
def test_no_header_raises(headers):
    """Whatever bytes come, news are sane or none."""
    for news in read_news([*headers, (b"date", b"\x00")]).values():
        assert 0 <= news.remaining <= news.limit
        assert news.reset_s >= 0
