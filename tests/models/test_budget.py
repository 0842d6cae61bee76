"""Budgets: never exceeded, whoever asks and in whatever order calls finish."""

import asyncio
import threading
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afnio._dispatch import gather, run_sync
from afnio.errors import (
    BudgetError,
    InputValueError,
    ModelTimeoutError,
    ServerError,
)
from afnio.models import Budget, Limits, Reply, RetryPolicy, Usage, deadline, set_budget
from afnio.models._amounts import input_tokens
from afnio.models.testing import ScriptedModel

TOKENS = Usage(input_tokens=10, output_tokens=10)


def talk(client, text="Hi", role="forward", **args):
    """Ask one question."""
    return client.agenerate([{"role": "user", "content": text}], role=role, **args)


def test_spent_is_counted_by_role():
    """A budget knows what each role has spent."""
    client = ScriptedModel(Reply("ok", usage=TOKENS))
    with Budget(calls=10) as budget:
        run_sync(talk(client))
        run_sync(talk(client, role="critic"))
        run_sync(talk(client, role="critic", sample_index=1))
    assert budget.spent["tokens"] == 60
    assert budget.spent_by_role["critic"]["calls"] == 2


def test_call_over_the_limit_is_not_sent():
    """A call that cannot fit raises, says who spent what, and is not sent."""
    client = ScriptedModel(Reply("ok", usage=TOKENS))
    with Budget(calls=1):
        run_sync(talk(client))
        with pytest.raises(BudgetError, match=r"1 calls.*\n  spent: forward"):
            run_sync(talk(client, "another"))
    assert len(client.requests) == 1


def test_worst_case_of_one_call_must_fit():
    """A reply that might be too long is refused beforehand."""
    client = ScriptedModel("ok")
    with Budget(tokens=500), pytest.raises(BudgetError, match="max_tokens"):
        run_sync(talk(client, max_tokens=1000))
    assert client.requests == []


def test_enclosing_budgets_are_all_charged():
    """Nested budgets each count a call once, also a budget entered twice."""
    client = ScriptedModel("ok")
    with Budget(calls=9) as outer, Budget(calls=9) as inner, outer:
        run_sync(talk(client))
    assert (outer.spent["calls"], inner.spent["calls"]) == (1, 1)
    run_sync(talk(client, "outside"))
    assert outer.spent["calls"] == 1


def test_calls_wait_for_reservations_that_may_come_back():
    """Calls that do not fit beside others in flight wait instead of failing."""
    client = ScriptedModel(Reply("ok", usage=TOKENS), latency_s=0.001)

    async def go():
        return await gather(talk(client, str(n), max_tokens=300) for n in range(12))

    with Budget(tokens=800) as budget:
        assert len(run_sync(go())) == 12
    assert budget.spent["tokens"] == 240


def test_usd_budget_refuses_models_without_a_price():
    """With a USD budget an unknown price is an error that says how to set it."""
    client = ScriptedModel("ok")
    client._prices = type(client._prices)()
    with Budget(usd=1), pytest.raises(BudgetError, match=r"set_price\('scripted'"):
        run_sync(talk(client))
    client.set_price("scripted", input=0, output=0)
    with Budget(usd=1):
        assert run_sync(talk(client)).text == "ok"


def test_usd_is_charged_at_the_client_s_price():
    """Ten prompt and ten reply tokens at 1000 and 2000 dollars per million."""
    client = ScriptedModel(Reply("ok", usage=TOKENS))
    client.set_price("scripted", input=1000, output=2000)
    with Budget(usd=5) as budget:
        run_sync(talk(client))
    assert budget.spent["usd"] == pytest.approx(0.03)


def test_failed_call_costs_a_call_and_no_tokens():
    """A failure gives its reservation back."""
    client = ScriptedModel([ServerError("down")])
    client._retry = RetryPolicy(max_retries=0)
    with Budget(tokens=1000) as budget, pytest.raises(ServerError):
        run_sync(talk(client))
    assert (budget.spent["calls"], budget.spent["tokens"]) == (1, 0)
    assert budget._reserved.tokens == 0


def test_attempt_that_timed_out_costs_its_prompt():
    """What a provider may bill is charged: each lost prompt, besides the reply."""
    client = ScriptedModel([ModelTimeoutError("late"), Reply("ok", usage=TOKENS)])
    client._retry = RetryPolicy(base_s=0.0001)
    with Budget(tokens=1000) as budget:
        run_sync(talk(client))
    prompt = input_tokens(client.requests[0])
    assert budget.spent["tokens"] == 20 + prompt
    assert budget.spent["calls"] == 1


def test_cancelled_call_costs_its_prompt_and_one_that_waited_nothing():
    """A deadline hits a call under way and one in the queue: the first is charged."""
    client = ScriptedModel("late", latency_s=30)
    client._limits = Limits(concurrency=1)

    async def go():
        return await asyncio.gather(
            talk(client, "one"), talk(client, "two"), return_exceptions=True
        )

    with Budget(tokens=1000) as budget, deadline(0.02):
        errors = run_sync(go())
    assert [type(error) for error in errors] == [ModelTimeoutError] * 2
    assert budget.spent["tokens"] == input_tokens(client.requests[0])
    assert (budget.spent["calls"], len(client.requests)) == (1, 1)


def test_lost_attempts_never_cost_more_than_was_reserved():
    """However many attempts time out, a call is charged its worst case at most."""
    client = ScriptedModel([ModelTimeoutError("late")] * 9)
    client._retry = RetryPolicy(base_s=0.0001, max_retries=8)
    with Budget(tokens=200) as budget, pytest.raises(ModelTimeoutError):
        run_sync(talk(client, max_tokens=100))
    assert budget.spent["tokens"] == input_tokens(client.requests[0]) + 100


def test_reply_without_usage_is_estimated():
    """A server that reports nothing is charged four bytes a token, and flagged."""
    client = ScriptedModel(Reply("12345678"))
    with Budget(tokens=1000) as budget:
        reply = run_sync(talk(client, "1234567890"))
    assert reply.usage.estimated
    assert budget.spent["tokens"] == reply.usage.total_tokens == 4 + 3 + 2
    assert client.get_usage_by_role()["forward"]["scripted"]["estimated_calls"] == 1


def test_nothing_starts_after_the_seconds():
    """Time is a budget too; the clock starts with the first entry."""
    now = [0.0]
    client = ScriptedModel("ok")
    with Budget(seconds=5, clock=lambda: now[0]) as budget:
        now[0] = 4.9
        run_sync(talk(client))
        now[0] = 5.0
        with pytest.raises(BudgetError, match=r"5\.0 s have passed"):
            run_sync(talk(client, "late"))
    assert budget.is_exhausted()


def test_process_default_is_seen_by_other_threads():
    """set_budget charges calls of every thread; as a block it ends with the block."""
    client, budget = ScriptedModel("ok"), Budget(calls=5)

    def from_a_thread():
        thread = threading.Thread(
            target=lambda: client.chat([{"role": "user", "content": "t"}])
        )
        thread.start()
        thread.join()

    set_budget(budget)
    try:
        from_a_thread()
    finally:
        set_budget(None)
    from_a_thread()
    assert budget.spent["calls"] == 1
    with set_budget(budget):
        run_sync(talk(client, "inside"))
    run_sync(talk(client, "after"))
    assert budget.spent["calls"] == 2


def test_state_round_trip_continues_the_spending():
    """A restored budget goes on from what was spent."""
    client = ScriptedModel(Reply("ok", usage=TOKENS))
    with Budget(calls=2) as first:
        run_sync(talk(client))
    second = Budget(calls=2)
    second.load_state_dict(first.state_dict())
    with second:
        run_sync(talk(client, "two"))
        with pytest.raises(BudgetError):
            run_sync(talk(client, "three"))
    assert second.spent_by_role["forward"]["tokens"] == 40


@settings(max_examples=40, deadline=None)
@given(
    calls=st.lists(
        st.tuples(
            st.integers(0, 40),  # reply tokens really used, of the maximum
            st.integers(0, 4),  # turns of the event loop the call takes
            st.booleans(),  # whether it fails
            st.booleans(),  # whether it also runs in the inner budget
        ),
        max_size=25,
    ),
    outer_tokens=st.integers(0, 900),
    inner_calls=st.integers(0, 12),
)
def test_never_exceeded_under_any_interleaving(calls, outer_tokens, inner_calls):
    """Whatever calls cost, fail or take, neither budget is ever exceeded."""
    outer, inner = Budget(tokens=outer_tokens), Budget(calls=inner_calls)
    seen = []

    async def answer(messages, **_args):
        used, turns, fails, _ = calls[int(messages[0]["content"])]
        for _ in range(turns):
            await asyncio.sleep(0)
        seen.append((outer.spent["tokens"], inner.spent["calls"]))
        if fails:
            raise ServerError("down")
        return Reply("ok", usage=Usage(input_tokens=1, output_tokens=used))

    client = ScriptedModel(answer)
    client._retry = RetryPolicy(max_retries=0)

    async def one(number):
        try:
            if calls[number][3]:
                with inner:
                    await talk(client, str(number), max_tokens=40)
            else:
                await talk(client, str(number), max_tokens=40)
        except (BudgetError, ServerError):
            pass

    async def go():
        with outer:
            await gather(one(number) for number in range(len(calls)))

    run_sync(go())
    seen.append((outer.spent["tokens"], inner.spent["calls"]))
    assert all(t <= outer_tokens and c <= inner_calls for t, c in seen)
    assert outer._reserved.tokens == 0
    assert inner._reserved.calls == 0


@settings(max_examples=15, deadline=None)
@given(
    replies=st.lists(st.integers(0, 40), min_size=32, max_size=96),
    cents=st.integers(0, 60),
    tokens=st.integers(0, 2500),
)
def test_never_exceeded_by_sixteen_threads(replies, cents, tokens):
    """Whatever calls of 16 threads at once cost, dollars and tokens stay below."""
    cap = Decimal(cents) / 100
    budget, seen, failures = Budget(usd=cap, tokens=tokens), [], []
    start = threading.Barrier(16)

    async def answer(messages, **_args):
        await asyncio.sleep(0)
        seen.append((budget.spent["usd"], budget.spent["tokens"]))
        used = replies[int(messages[0]["content"])]
        return Reply("ok", usage=Usage(input_tokens=1, output_tokens=used))

    client = ScriptedModel(answer, model="m")
    client.set_price("m", input=100, output=300)

    def work(first):
        start.wait()
        for number in range(first, len(replies), 16):
            try:
                with budget:
                    run_sync(talk(client, str(number), max_tokens=40))
            except BudgetError:
                pass
            except BaseException as error:
                failures.append(error)
                raise

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.append((budget.spent["usd"], budget.spent["tokens"]))
    assert not failures
    assert all(usd <= cap and used <= tokens for usd, used in seen)
    answered = client.get_usage()["completion_tokens"] + len(client.requests)
    assert budget.spent["tokens"] == answered
    assert budget._reserved.tokens == 0


def test_budget_without_or_with_impossible_limit_is_refused():
    """A budget needs a limit, and none below zero."""
    with pytest.raises(InputValueError, match="needs a limit"):
        Budget()
    with pytest.raises(InputValueError, match="usd is -1"):
        Budget(usd=-1)


def test_cents_do_not_drift():
    """Dollars are added exactly."""
    client = ScriptedModel(Reply("ok", usage=Usage(input_tokens=1)))
    client.set_price("scripted", input=100_000, output=0)
    with Budget(usd=Decimal(10_000)) as budget:
        for number in range(10):
            run_sync(talk(client, str(number), max_tokens=0))
    assert budget.spent["usd"] == 1.0
