"""Announced limits: calls wait instead of being refused, never for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio.models._quota_headers import News
from afnio.models._quotas import LONGEST_RESET_S, NO_LOAD, Load, Quotas


def ask(quotas, now, news=None, load=NO_LOAD, took=0.0):
    """Start and end a call at once, with what its answer says."""
    number = quotas.begin(now, load)
    if news is not None:
        quotas.hear(news, now, now + took)
    quotas.end(number)


def requests(limit, remaining, reset_s):
    """Build news of requests."""
    return {"requests": News(limit, remaining, reset_s)}


def test_nothing_waits_while_enough_is_left():
    """Only when the last one is taken does the next one wait."""
    quotas = Quotas()
    ask(quotas, 0.0, requests(10, 1, 30.0))
    assert quotas.delay_s(0.0, NO_LOAD) == 0
    ask(quotas, 1.0, requests(10, 0, 29.0))
    assert quotas.delay_s(10.0, NO_LOAD) == pytest.approx(20.0)
    assert quotas.delay_s(30.0, NO_LOAD) == 0


def test_calls_under_way_are_taken_off():
    """What was started and not yet counted there is not there to be started again."""
    quotas = Quotas()
    ask(quotas, 0.0, requests(10, 2, 30.0))
    numbers = [quotas.begin(0.5, NO_LOAD) for _ in range(2)]
    assert quotas.delay_s(0.5, NO_LOAD) == pytest.approx(29.5)
    for number in numbers:
        quotas.end(number)  # without news: they may have been counted
    assert quotas.delay_s(1.0, NO_LOAD) == pytest.approx(29.0)


def test_long_calls_do_not_take_from_the_next_window():
    """A call of the last window, still under way, was counted there."""
    quotas = Quotas()
    quotas.begin(0.0, NO_LOAD)
    ask(quotas, 0.0, requests(1, 0, 10.0))
    assert quotas.delay_s(9.0, NO_LOAD) == pytest.approx(1.0)
    assert quotas.delay_s(10.0, NO_LOAD) == 0


def test_answers_out_of_order_do_not_raise_what_is_left():
    """The least that was announced holds until the reset."""
    quotas = Quotas()
    ask(quotas, 1.0, requests(10, 0, 30.0))
    ask(quotas, 1.5, requests(10, 5, 29.5))
    assert quotas.delay_s(2.0, NO_LOAD) > 0


def test_what_comes_back_bit_by_bit_is_used_bit_by_bit():
    """Resets that move ahead show a bucket: the next call waits for its own share."""
    quotas = Quotas()
    for second in range(11):  # a bucket of 60 a minute; six are taken at a time
        ask(quotas, float(second), requests(60, 55 - 5 * second, 5.0 + 5 * second))
    ask(quotas, 11.0, requests(60, 0, 60.0))
    assert quotas.delay_s(11.0, NO_LOAD) == pytest.approx(1.0)


def test_after_a_refusal_only_the_reset_is_trusted():
    """A server that refuses what it seemed to promise is asked after its reset."""
    quotas = Quotas()
    for second in range(11):
        ask(quotas, float(second), requests(60, 55 - 5 * second, 5.0 + 5 * second))
    quotas.refused()
    ask(quotas, 11.0, requests(60, 0, 60.0))
    assert quotas.delay_s(11.0, NO_LOAD) > 40.0


def test_resets_far_away_are_not_waited_for():
    """A daily limit, or a lie, holds nobody up: the refusal itself says more."""
    quotas = Quotas()
    ask(quotas, 0.0, requests(10, 0, LONGEST_RESET_S + 1))
    assert quotas.delay_s(0.0, NO_LOAD) == 0


def test_header_that_always_says_nothing_is_left_is_not_believed_for_long():
    """After two waits that changed nothing, calls go on; a refusal restores belief."""
    quotas, now, waits = Quotas(), 0.0, []
    for _ in range(20):
        delay = quotas.delay_s(now, NO_LOAD)
        waits.append(delay)
        now += delay
        ask(quotas, now, requests(100, 0, 60.0))
    assert sum(map(bool, waits)) == 2
    quotas.refused()
    assert quotas.delay_s(now, NO_LOAD) > 0


def test_server_that_falls_silent_is_not_waited_for():
    """Once the reset is over and no answer brings news, nothing is held against it."""
    quotas = Quotas()
    ask(quotas, 0.0, requests(1, 0, 10.0))
    assert quotas.delay_s(11.0, NO_LOAD) == 0
    quotas.begin(11.0, NO_LOAD)
    assert 0 < quotas.delay_s(12.0, NO_LOAD) <= LONGEST_RESET_S
    assert quotas.delay_s(11.0 + LONGEST_RESET_S, NO_LOAD) == 0


def test_tokens_count_what_a_call_may_take():
    """OpenAI counts the longest reply allowed; a call above the limit needs all."""
    quotas = Quotas()
    ask(quotas, 0.0, {"tokens": News(1000, 400, 30.0)})
    assert quotas.counts_tokens
    assert quotas.delay_s(0.0, Load(300, 100)) == 0
    assert quotas.delay_s(0.0, Load(300, 200)) == pytest.approx(30.0)
    assert quotas.delay_s(30.0, Load(9000, 0)) == 0


def test_output_tokens_count_what_replies_usually_have():
    """Anthropic counts the reply itself, not the longest one allowed."""
    quotas = Quotas()
    quotas.replied(50)
    ask(quotas, 0.0, {"output_tokens": News(1000, 60, 30.0)})
    assert quotas.delay_s(0.0, Load(300, 4096)) == 0
    quotas.replied(70)
    assert quotas.delay_s(0.0, Load(300, 4096)) == pytest.approx(30.0)


@settings(max_examples=200)
@given(
    st.integers(1, 8),
    st.floats(0.5, 20.0),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 0.5)), max_size=80),
)
def test_strict_window_never_refuses(limit, width, calls):
    """Whatever comes when, a server with a fixed window has nothing to refuse.

    Calls overlap: an answer arrives after its own time, in order of arrival.
    """
    quotas, now = Quotas(), 0.0
    opened, used = 0.0, 0
    pending: list[tuple[float, float, int, dict[str, News]]] = []

    def arrive(until):
        for ends, started, number, news in sorted(pending, key=lambda p: p[:3]):
            if ends <= until:
                quotas.hear(news, started, ends)
                quotas.end(number)
                pending.remove((ends, started, number, news))

    for position, (gap, took) in enumerate(calls):
        now += gap
        arrive(now)
        while (delay := quotas.delay_s(now, NO_LOAD)) > 0:
            now = min([now + delay, *(ends for ends, *_ in pending)])
            arrive(now)
        number = quotas.begin(now, NO_LOAD)
        opened, used = (opened, used) if now < opened + width else (now, 0)
        used += 1
        if position:  # after the first answer
            assert used <= limit
        left = requests(limit, limit - used, opened + width - now)
        pending.append((now + took, now, number, left))
        if not position:
            now += took
            arrive(now)
