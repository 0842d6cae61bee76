"""Plans: calls are counted and priced by role, and nothing is sent."""

import threading
from contextlib import suppress
from decimal import Decimal

import pydantic
import pytest

import afnio
from afnio import Variable
from afnio._dispatch import run_sync
from afnio.autodiff import backward
from afnio.autodiff.evaluator import (
    DeterministicEvaluator,
    ExactMatchEvaluator,
    LMJudgeEvaluator,
)
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import BudgetError, InputTypeError, InputValueError, StateError
from afnio.models import Budget, ReplyCache, call_role, plan, use_cache
from afnio.models._stand_in import STAND_IN, instance
from afnio.models.openai import OpenAI
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD


@pytest.fixture
def client():
    """Make a client whose model costs 1 and 2 dollars per million tokens."""
    model = OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", model="m")
    model.set_price("m", input=1, output=2)
    return model


def turns(prompt):
    """Return messages with a trained system prompt."""
    return [
        {"role": "system", "content": [prompt]},
        {"role": "user", "content": [Variable("{x}", "question")]},
    ]


JUDGE = [{"role": "user", "content": [Variable("Judge {prediction}", "instruction")]}]


def test_a_training_step_is_counted_by_role_and_changes_nothing(client):
    """Forward, judge, critic and optimizer calls are counted; the prompt stays."""
    prompt = Variable("Answer {x}.", "system prompt", requires_grad=True)
    with plan() as planned, afnio.set_backward_model_client(client):
        losses = []
        for number in range(3):
            reply = ChatCompletion.apply(
                client, turns(prompt), inputs={"x": str(number)}
            )
            losses.append(ExactMatchEvaluator.apply(reply, "?")[1])
        verdict = LMJudgeEvaluator.apply(client, JUDGE, reply, score_range=(1, 5))
        assert verdict[0].data == 1
        backward(losses)
        TGD([prompt], model_client=client).step()
    assert planned.calls_by_role["forward"] == 3
    assert planned.calls_by_role["judge"] == 1
    assert planned.calls_by_role["critic"] == 3
    assert planned.calls_by_role["optimizer"] == 1
    assert planned.calls == 8
    assert prompt.data == "Answer {x}."
    assert client.get_usage()["total_tokens"] == 0


def test_ranges_hold_what_a_call_can_cost(client, ask):
    """Bytes bound the prompt, max_tokens the reply; prices make dollars of both."""
    with plan(reply_tokens=50) as planned:
        client.chat(ask("x" * 400), max_tokens=100)
    (row,) = planned.rows
    assert row.input_tokens.low < row.input_tokens.likely < 120
    assert row.input_tokens.high >= 400
    assert (row.output_tokens.low, row.output_tokens.likely) == (1, 50)
    assert row.output_tokens.high == 100
    assert planned.cost_usd.likely == pytest.approx(
        (row.input_tokens.likely + 2 * 50) / 1e6
    )
    assert planned.cost_usd.low < planned.cost_usd.likely < planned.cost_usd.high


def test_the_most_it_can_cost_is_what_a_budget_reserves(client, ask):
    """A budget of the upper end fits the call; a smaller one does not."""
    with plan() as planned:
        client.chat(ask(), max_tokens=100)
    most = Decimal(str(planned.cost_usd.high))
    with Budget(usd=most - Decimal("0.000001")), pytest.raises(BudgetError):
        client.chat(ask(), max_tokens=100)


def test_an_unknown_price_is_said_and_never_zero(ask):
    """The cost is None, and the table says how to set the price."""
    client = OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", model="mystery")
    with plan() as planned:
        client.chat(ask())
    assert planned.cost_usd is None
    assert planned.unpriced == ("mystery",)
    assert "unknown" in str(planned)
    assert "client.set_price('mystery'" in str(planned)


def test_the_table_has_a_line_per_role_and_a_total(client, ask):
    """It can be printed as it is."""
    with plan() as planned:
        client.chat(ask())
        with call_role("test"):
            client.chat(ask(), max_tokens=10)
    lines = str(planned).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["forward", "test", "total"]
    assert "Nothing was sent." in lines[-1]
    with plan() as nothing:
        pass
    assert str(nothing) == "No model call would be made."


def test_a_cache_in_force_is_read_but_not_written(client, ask, tmp_path):
    """What it has costs nothing; what a run would put there counts once."""
    known = ScriptedModel("Rome", name="same")
    with use_cache(ReplyCache(tmp_path / "c.sqlite")) as cache:
        known.chat(ask("capital?"))
        with plan() as planned:
            assert ScriptedModel(name="same").chat(ask("capital?")) == "Rome"
            for _ in range(2):
                ScriptedModel(name="same").chat(ask("new?"))
        assert len(cache) == 1
        cache.close()
    assert (planned.calls, planned.total.cached_calls) == (1, 2)
    assert known.get_usage_by_role()["forward"]["scripted"]["cached_calls"] == 0


def test_budgets_and_limits_notice_nothing(client, ask):
    """A plan can be made inside a budget that is spent."""
    with Budget(calls=0) as budget, plan() as planned:
        client.chat(ask())
    assert (planned.calls, budget.spent["calls"]) == (1, 0)


def test_a_plan_does_not_shift_repeated_sampling(ask):
    """After a plan, questions are numbered as if it had never been made."""
    client = ScriptedModel("x")
    one = [{"role": "user", "content": [Variable("hi")]}]
    with plan():
        _ = ChatCompletion.apply(client, one).data
    _ = ChatCompletion.apply(client, one).data
    assert [request.sample_index for request in client.requests] == [0]


def test_threads_are_counted_only_if_asked_for(ask):
    """A plan holds in its own context; everywhere=True holds in every thread."""
    for everywhere, sent in ((False, 1), (True, 0)):
        client = ScriptedModel("x")
        with plan(everywhere=everywhere) as planned:
            thread = threading.Thread(target=client.chat, args=(ask(),))
            thread.start()
            thread.join()
        assert (len(client.requests), planned.calls) == (sent, 1 - sent)
        assert client.chat(ask()) == "x"


class Part(pydantic.BaseModel):
    """A part of a typed reply."""

    size: int = pydantic.Field(ge=3)
    parts: list["Part"] = []


class Answer(pydantic.BaseModel):
    """A typed reply of every kind of field."""

    name: str = pydantic.Field(min_length=40)
    kind: Part | None
    ratio: float = pydantic.Field(gt=0, lt=1)
    is_sure: bool
    tags: dict[str, int]


def test_typed_replies_stay_typed(client, ask):
    """A pydantic class gets an instance, though nobody was asked."""
    with plan():
        reply = run_sync(client.agenerate(ask(), response_format=Part))
    assert reply.parsed.size >= 3


def test_other_kinds_of_calls_are_planned_too(client, ask):
    """Streams, completions and embeddings."""
    with plan() as planned:
        stream = client.stream(ask())
        assert list(stream) == []
        assert STAND_IN in stream.reply.text
        assert STAND_IN in client.complete("Once")
        assert len(client.embed(["a", "b"])) == 2
    assert planned.calls == 3


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "integer", "minimum": 3}, lambda v: v == 3),
        ({"type": "number", "maximum": -2}, lambda v: v <= -2),
        ({"type": "number", "exclusiveMinimum": 4}, lambda v: v > 4),
        ({"enum": ["b", "a"]}, lambda v: v == "b"),
        ({"const": False}, lambda v: v is False),
        ({"type": ["null", "string"]}, lambda v: v is None),
        ({"type": "string", "maxLength": 3}, lambda v: len(v) == 3),
        (
            {"type": "array", "minItems": 2, "items": {"type": "null"}},
            [None, None].__eq__,
        ),
        ({"oneOf": [{"type": "boolean"}]}, lambda v: v is False),
        ({"allOf": [{"type": "string"}, {"minLength": 50}]}, lambda v: len(v) == 50),
        (True, lambda v: v == STAND_IN),
    ],
    ids=str,
)
def test_stand_ins_fit_simple_schemas(schema, fits):
    """Each keyword that decides about a value is heeded."""
    assert fits(instance(schema, schema if isinstance(schema, dict) else {}))


def test_a_schema_that_refers_to_itself_ends():
    """Optional parts are left out somewhere."""
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
                },
                "required": ["next"],
            }
        },
        "$ref": "#/$defs/node",
    }
    assert "next" in instance(schema, schema)


@pytest.mark.parametrize(
    ("tokens", "error"),
    [(0, InputValueError), ("many", InputTypeError), ({"critic": 1.5}, InputTypeError)],
)
def test_reply_tokens_are_checked(tokens, error):
    """They are counts, one or one per role."""
    with pytest.raises(error, match="reply_tokens"):
        plan(reply_tokens=tokens)


def test_a_plan_is_made_once():
    """Entering it a second time inside is refused."""
    with (
        plan(reply_tokens={"critic": 9}) as planned,
        pytest.raises(StateError),
        planned,
    ):
        pass


def test_what_is_pending_at_the_end_is_counted(client):
    """The block waits for what nobody has read."""
    prompt = Variable("Answer {x}.", "system prompt")
    with plan() as planned:
        for number in range(50):
            ChatCompletion.apply(client, turns(prompt), inputs={"x": str(number)})
    assert planned.calls == 50


def test_a_plan_ends_in_a_function_that_an_operation_waits_for(client, ask):
    """It does not wait for itself there; nor for what fails and nobody reads."""

    def score(prediction, target):
        with plan() as inner:
            client.chat(ask())
        return inner.calls

    evaluate = DeterministicEvaluator.apply
    with plan() as planned:
        reply = ChatCompletion.apply(client, turns(Variable("{x}")), inputs={"x": "1"})
        found = evaluate(reply, "b", score, "calls")[0]
        with suppress(ZeroDivisionError):  # at once, if the reply was there already
            evaluate(reply, "b", lambda *_: 1 / 0, "nothing")
    assert (found.data, planned.calls) == (1, 1)
