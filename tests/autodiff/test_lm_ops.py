"""ChatCompletion: what is sent, what comes back, and where feedback goes."""

from __future__ import annotations

import json

import pytest

from afnio import Variable, no_grad
from afnio.autodiff import backward, credit_mode
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.errors import (
    GradientCountError,
    InputTypeError,
    ReplyError,
    StateError,
    TemplateError,
)
from afnio.models._roles import set_backward_model_client
from afnio.models.testing import ScriptedModel


def wanted(args):
    """Return the names of the inputs that the critic was asked about."""
    return args["response_format"]["json_schema"]["schema"]["required"]


def critic(text="be exact"):
    """Return a critic that says ``text`` of every input."""
    return ScriptedModel(
        lambda messages, **args: json.dumps(dict.fromkeys(wanted(args), text))
    )


def echo():
    """Return a model that repeats the last message in capitals."""
    return ScriptedModel(lambda messages, **args: messages[-1]["content"].upper())


def conversation(system_grad=True, user="Translate 'Hello' to {language}."):
    """Return a system prompt, a user template, and messages made of them."""
    system = Variable("You are a translator.", "system instruction", system_grad)
    query = Variable(user, "user query")
    messages = [
        {"role": "system", "content": [system]},
        {"role": "user", "content": [query]},
    ]
    return system, query, messages


def test_c01_placeholders_are_filled_and_the_reply_is_text():
    """A scalar call sends both messages filled and returns a tracked text."""
    model = echo()
    _, _, messages = conversation()
    reply = ChatCompletion.apply(model, messages, inputs={"language": "Italian"})
    assert reply.data == "TRANSLATE 'HELLO' TO ITALIAN."
    assert reply.requires_grad
    assert [m["role"] for m in model.requests[0].messages] == ["system", "user"]
    assert model.requests[0].messages[1]["content"].endswith("to Italian.")


@pytest.mark.parametrize(
    "languages",
    [
        [Variable("Italian"), Variable("Spanish")],
        Variable(["Italian", "Spanish"]),
        ["Italian", "Spanish"],
    ],
)
def test_c02_c03_c04_three_ways_to_give_a_batch(languages):
    """A list, a list of Variables and a Variable with list data all make a batch."""
    _, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": languages})
    assert [text[-8:] for text in reply.data] == ["ITALIAN.", "SPANISH."]


def test_c05_batches_of_different_lengths_are_refused():
    """The error names both inputs and their lengths, at the call."""
    _, _, messages = conversation(user="{a} {b}")
    with pytest.raises(ValueError, match=r"inputs\['a'\].*length 2.*'b'.*length 3"):
        ChatCompletion.apply(
            echo(), messages, inputs={"a": ["1", "2"], "b": ["1", "2", "3"]}
        )


def test_list_data_in_messages_makes_a_batch():
    """A message Variable with list data batches like an input does."""
    user = Variable(["one", "two"], "user query")
    reply = ChatCompletion.apply(echo(), [{"role": "user", "content": [user]}])
    assert reply.data == ["ONE", "TWO"]


def test_c06_parts_of_a_message_are_sent_in_order():
    """Several Variables in one message are one prompt, in order."""
    model = echo()
    parts = [Variable("first"), Variable("second")]
    reply = ChatCompletion.apply(model, [{"role": "user", "content": parts}])
    assert reply.data == "FIRST\nSECOND"
    assert len(model.requests[0].messages) == 1


def test_c07_other_braces_are_text_and_values_are_inserted_once():
    """JSON in a prompt survives, and a value that looks like a placeholder too."""
    model = echo()
    user = Variable('{"a": {x}} {{x}} {y}')
    ChatCompletion.apply(
        model, [{"role": "user", "content": [user]}], inputs={"x": "{y} {x}"}
    ).data
    assert model.requests[0].messages[0]["content"] == '{"a": {y} {x}} {x} {y}'


def test_unused_and_unfilled_placeholders_are_refused():
    """An input without placeholder is refused; the reverse only if strict."""
    _, _, messages = conversation()
    with pytest.raises(TemplateError, match="did you mean 'language'"):
        ChatCompletion.apply(echo(), messages, inputs={"langage": "x"})
    with pytest.raises(TemplateError, match=r"\{language\} has no input"):
        ChatCompletion.apply(echo(), messages, strict=True)
    reply = ChatCompletion.apply(echo(), messages)
    assert reply.data.endswith("{LANGUAGE}.")


def test_c08_nothing_tracked_means_no_graph():
    """Without a tracked input, and under no_grad, the reply is a leaf."""
    _, _, messages = conversation(system_grad=False)
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    assert not reply.requires_grad
    assert reply.grad_fn is None
    _, _, tracked = conversation()
    with no_grad():
        reply = ChatCompletion.apply(echo(), tracked, inputs={"language": "x"})
    assert reply.is_leaf


def test_c09_c10_feedback_reaches_the_tracked_message_only():
    """The critic is asked once and its feedback lands on the system prompt."""
    system, query, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "Italian"})
    client = critic("Ask for capitals.")
    with set_backward_model_client(client):
        reply.backward(Variable("Use only capital letters."))
    assert [grad.data for grad in system.grad] == ["Ask for capitals."]
    assert system.grad[0].role == "feedback to system instruction"
    assert not system.grad[0].requires_grad
    assert query.grad == []
    assert len(client.requests) == 1
    assert client.requests[0].role == "critic"


def test_one_critic_call_serves_all_tracked_inputs():
    """Messages and inputs that require grad share one critic call."""
    system, _, messages = conversation()
    language = Variable("Italian", "language", requires_grad=True)
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": language})
    client = ScriptedModel(
        lambda messages, **args: json.dumps({n: f"about {n}" for n in wanted(args)})
    )
    with set_backward_model_client(client):
        reply.backward(Variable("wrong language"))
    assert len(client.requests) == 1
    assert system.grad[0].data == "about input_1"
    assert language.grad[0].data == "about input_3"


def test_c11_empty_feedback_costs_no_call():
    """An empty gradient goes through as an empty gradient, without any client."""
    system, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    reply.backward(Variable(""))
    assert [grad.data for grad in system.grad] == [""]
    assert system.grad[0].role == "feedback to system instruction"


def test_c12_an_unusable_critic_is_asked_three_times_and_nothing_is_written():
    """After three bad replies the error carries the last one; grads stay empty."""
    system, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    client = ScriptedModel(["no json", "[1]", "still no json"])
    with (
        set_backward_model_client(client),
        pytest.raises(RuntimeError, match="JSON object") as caught,
    ):
        reply.backward(Variable("wrong"))
    assert isinstance(caught.value, ReplyError)
    assert caught.value.reply == "still no json"
    assert len(client.requests) == 3
    assert "cannot be used" in client.requests[1].messages[-1]["content"]
    assert system.grad == []


def test_a_critic_that_recovers_is_believed():
    """A good reply after a bad one counts, and the graph was not used up."""
    system, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    client = ScriptedModel(["oops", '```json\n{"input_1": "ok"}\n```'])
    with set_backward_model_client(client):
        reply.backward(Variable("wrong"))
    assert system.grad[0].data == "ok"


def test_c13_wrong_keys_are_a_value_error():
    """A critic that answers about other inputs is refused."""
    _, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    client = ScriptedModel(lambda messages, **args: '{"a": "1", "b": "2"}')
    with set_backward_model_client(client), pytest.raises(ValueError, match="input_1"):
        reply.backward(Variable("wrong"))
    assert issubclass(GradientCountError, ValueError)


def test_c14_backward_without_a_client_says_how_to_set_one():
    """The error names set_backward_model_client, and nothing has changed."""
    system, _, messages = conversation()
    reply = ChatCompletion.apply(echo(), messages, inputs={"language": "x"})
    with pytest.raises(StateError, match=r"call afnio\.set_backward_model_client"):
        reply.backward(Variable("wrong"))
    assert system.grad == []


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ("text", TypeError),
        ([{"role": "user", "content": ["text"]}], TypeError),
        ([{"role": "user"}], ValueError),
        ([{"role": 1, "content": [Variable("x")]}], TypeError),
        (["x"], TypeError),
    ],
)
def test_c15_malformed_messages_are_refused_at_the_call(messages, error):
    """Wrong shapes raise at once, naming the place."""
    with pytest.raises(error, match="messages"):
        ChatCompletion.apply(echo(), messages)


def test_a_client_that_is_none_is_refused():
    """A wrong client is named at the call."""
    with pytest.raises(InputTypeError, match="forward_model_client"):
        ChatCompletion.apply("gpt", [{"role": "user", "content": [Variable("x")]}])


def test_c16_completion_args_are_forwarded_verbatim():
    """Whatever the user passes reaches the client."""
    model = echo()
    args = {"model": "m", "temperature": 0.5, "response_format": {"type": "text"}}
    ChatCompletion.apply(
        model, [{"role": "user", "content": [Variable("x")]}], **args
    ).data
    assert dict(model.requests[0].args) == args


def test_c17_results_keep_input_order_whatever_finishes_first():
    """Replies that arrive in reverse still stand at their sample's place."""
    import asyncio

    arrived = []

    async def reply(messages, **args):
        number = int(messages[0]["content"])
        while len(arrived) < 4 - number:
            await asyncio.sleep(0)
        arrived.append(number)
        return str(number)

    user = Variable("{n}", "user")
    result = ChatCompletion.apply(
        ScriptedModel(reply),
        [{"role": "user", "content": [user]}],
        inputs={"n": ["0", "1", "2", "3", "4"]},
    )
    assert result.data == ["0", "1", "2", "3", "4"]
    assert arrived == [4, 3, 2, 1, 0]


def test_batched_feedback_is_kept_per_sample():
    """Right samples cost nothing; the parameter gets one text plus evidence."""
    system, _, messages = conversation(user="{x}")
    inputs = Variable(["a", "b", "c"], "letters", requires_grad=True)
    reply = ChatCompletion.apply(echo(), messages, inputs={"x": inputs})
    _, explanation = ExactMatchEvaluator.apply(reply, ["A", "X", "Y"])
    client = critic()
    with set_backward_model_client(client):
        explanation.backward()
    assert len(client.requests) == 2
    assert system.grad[0].data == "- be exact"
    assert inputs.grad[0].data == ["", "be exact", "be exact"]
    records = system.grad[0].evidence
    assert [record.success for record in records] == [True, False, False]
    assert records[1].inputs == {"x": "b"}
    assert records[1].output == "B"
    assert records[1].target == "X"
    assert records[1].critique == "be exact"
    assert records[0].critique == ""


def test_e06_a_batch_that_is_all_right_gives_one_empty_gradient():
    """Full success appends one empty text, and no client is needed."""
    system, _, messages = conversation(user="{x}")
    reply = ChatCompletion.apply(echo(), messages, inputs={"x": ["a", "b"]})
    _, explanation = ExactMatchEvaluator.apply(reply, ["A", "B"])
    explanation.backward()
    assert [grad.data for grad in system.grad] == [""]
    assert all(record.success for record in system.grad[0].evidence)


def test_a_missing_sample_stays_missing_and_costs_nothing():
    """None in a batched input gives None, without a call."""
    model = echo()
    user = Variable("{x}", "user", requires_grad=True)
    reply = ChatCompletion.apply(
        model, [{"role": "user", "content": [user]}], inputs={"x": ["a", None]}
    )
    assert reply.data == ["A", None]
    assert len(model.requests) == 1
    direct = [{"role": "user", "content": [Variable(["a", None], "user")]}]
    assert ChatCompletion.apply(model, direct).data == ["A", None]
    assert len(model.requests) == 2


def test_a_failed_call_poisons_what_depends_on_it():
    """Reading a dependent value raises the original error, naming op and line."""
    model = ScriptedModel([RuntimeError("boom")])
    reply = ChatCompletion.apply(model, [{"role": "user", "content": [Variable("x")]}])
    shouted = (reply + "!").upper()
    with pytest.raises(RuntimeError, match="boom") as caught:
        shouted.data
    assert any(
        "ChatCompletion" in note and "test_lm_ops.py" in note
        for note in caught.value.__notes__
    )


def test_a_prompt_changed_after_the_call_is_not_what_was_sent():
    """Inputs are snapshots; and backward then refuses the changed leaf."""
    model = echo()
    user = Variable("before", "user", requires_grad=True)
    reply = ChatCompletion.apply(model, [{"role": "user", "content": [user]}])
    user.data = "after"
    assert reply.data == "BEFORE"
    with (
        set_backward_model_client(critic()),
        pytest.raises(RuntimeError, match="changed in place"),
    ):
        reply.backward(Variable("x"))


def test_passthrough_asks_no_critic():
    """In passthrough mode the evaluator's feedback arrives as it is, with evidence."""
    system, _, messages = conversation(user="{x}")
    reply = ChatCompletion.apply(echo(), messages, inputs={"x": ["a", "b"]})
    _, explanation = ExactMatchEvaluator.apply(reply, ["A", "X"])
    with credit_mode("passthrough"):
        explanation.backward()
    assert "gave a score of 0" in system.grad[0].data
    assert len(system.grad[0].evidence) == 2


def test_many_losses_share_one_backward():
    """Several roots in one backward give one gradient each, in graph order."""
    system, _, messages = conversation(user="{x}")
    explanations = []
    for letter in "abc":
        reply = ChatCompletion.apply(echo(), messages, inputs={"x": letter})
        explanations.append(ExactMatchEvaluator.apply(reply, "?")[1])
    client = ScriptedModel(
        lambda messages, **args: json.dumps(
            {"input_1": messages[1]["content"].split("<reply>\n")[1][0]}
        )
    )
    with set_backward_model_client(client):
        backward(explanations)
    assert [grad.data for grad in system.grad] == ["A", "B", "C"]


def test_equal_questions_are_sampled_again():
    """The same question asked twice is two calls, not one shared reply."""
    replies = iter(["first", "second"])
    model = ScriptedModel(lambda messages, **args: next(replies))
    messages = [{"role": "user", "content": [Variable("x")]}]
    one = ChatCompletion.apply(model, messages)
    two = ChatCompletion.apply(model, messages)
    assert {one.data, two.data} == {"first", "second"}


class Demos(Variable):
    """Worked examples: rows of fields and an output."""

    fields = ("x",)


def test_demonstrations_expand_to_the_message_after_them():
    """Each row becomes a user turn in the template's words, and its answer."""
    model = echo()
    demos = Demos([["one", "1"], ["two", "2"]], "examples", requires_grad=True)
    messages = [
        {"role": "system", "content": [Variable("Count.")]},
        {"role": "demonstrations", "content": [demos]},
        {"role": "user", "content": [Variable("Number: {x}")]},
    ]
    reply = ChatCompletion.apply(model, messages, inputs={"x": ["a", "b"]})
    assert reply.data == ["NUMBER: A", "NUMBER: B"]
    assert [m["content"] for m in model.requests[0].messages] == [
        "Count.",
        "Number: one",
        "1",
        "Number: two",
        "2",
        "Number: a",
    ]
    with credit_mode("passthrough"):
        reply.backward(Variable("no"))
    assert demos.grad[0].evidence[1].inputs == {"x": "b"}


def test_demonstrations_may_not_come_last():
    """Examples need the message that they show how to answer."""
    with pytest.raises(ValueError, match="put the user message last"):
        ChatCompletion.apply(echo(), [{"role": "demonstrations", "content": [Demos()]}])


def test_demonstrations_must_fill_placeholders_of_the_next_message():
    """A wrong or forgotten field would show the present question as an example."""
    demos = Demos([["a", "b"]])
    messages = [
        {"role": "demonstrations", "content": [demos]},
        {"role": "user", "content": [Variable("Q: {question}")]},
    ]
    with pytest.raises(TemplateError, match=r"field 'x'.*\{x\}"):
        ChatCompletion.apply(echo(), messages, inputs={"question": "?"})


def test_demonstrations_and_texts_have_their_own_messages():
    """Neither stands where the other belongs."""
    user = {"role": "user", "content": [Variable("{x}")]}
    with pytest.raises(TypeError, match="role 'demonstrations' and holds a Variable"):
        ChatCompletion.apply(
            echo(), [{"role": "demonstrations", "content": [Variable("x")]}, user]
        )
    with pytest.raises(TypeError, match="role 'user' and holds Demonstrations"):
        ChatCompletion.apply(echo(), [{"role": "user", "content": [Demos()]}, user])


def test_an_input_passed_as_completion_argument_is_noticed():
    """The obvious mistake is named, with the way to do it."""
    _, _, messages = conversation()
    with pytest.raises(TemplateError, match=r"did you mean inputs=\{'language'"):
        ChatCompletion.apply(echo(), messages, language="Italian")


@pytest.mark.parametrize("nothing", [None, Variable(None)])
def test_none_is_no_input(nothing):
    """The word None would have been sent."""
    _, _, messages = conversation()
    with pytest.raises(InputTypeError, match="is None"):
        ChatCompletion.apply(echo(), messages, inputs={"language": nothing})
