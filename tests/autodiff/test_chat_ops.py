"""Tests of F.chat, F.run_tools, Conversations and picking parts of replies."""

import json

import pydantic
import pytest

import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, set_backward_model_client
from afnio.autodiff.credit import credit_mode
from afnio.autodiff.stop_reasons import BoolMask
from afnio.models import Reply, ToolCall, blocks
from afnio.models.testing import ScriptedModel, feedback


def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


def script(messages, **_args):
    """Shout what begins with "loud", answer the rest at once."""
    last = messages[-1]["content"]
    if isinstance(last, str) and last.startswith("loud"):
        call = ToolCall("c", "shout", {"text": last[5:]})
        return Reply("Hm.", tool_calls=(call,), stop_reason="tool_use")
    return last if isinstance(last, str) else last[0]["content"]


def test_a_loop_of_ones_own():
    """Only samples that called a tool go on; each one's last reply counts."""
    model = ScriptedModel(script)
    prompt = cog.Parameter("Be nice.", role="system prompt")
    questions = Variable(["quiet", "loud a"], role="question")
    threads = cog.Conversations.start(2, user=[questions], system=[prompt])
    results, active = [], None
    while active is None or active.any():
        results.append(F.chat(model, threads, tools=[shout], where=active))
        threads.append(results[-1])
        active = results[-1].stop_reason == "tool_use"
        threads.append(F.run_tools(results[-1], [shout]))
    answers = F.last_replies(results)
    assert answers.data == ["quiet", "A"]
    assert len(model.requests) == 3
    assert [len(thread) for thread in threads] == [3, 5]
    assert threads.stop_reason.reasons == ("end_turn", "end_turn")
    assert results[1].output.data == [None, "A"]
    assert results[1].content[0] is None
    assert results[1].stop_reason.reasons == (None, "end_turn")
    critic = ScriptedModel(feedback("Be nicer."))
    with set_backward_model_client(critic):
        answers.backward(Variable(["too short", "too loud"]))
    assert len(prompt.grad) == 2  # one per turn of the loop
    assert len(critic.requests) == 3  # the second turn's feedback reaches the first


def test_feedback_goes_to_whom_it_concerns():
    """A Variable in one conversation hears of that one only."""
    prompts = [cog.Parameter(f"Be {word}.", role=word) for word in ("nice", "brief")]
    threads = [[{"role": "user", "content": [prompt]}] for prompt in prompts]
    result = F.chat(ScriptedModel("ok"), threads)
    with credit_mode("passthrough"):
        result.output.backward(Variable(["", "too long"]))
    assert [p.grad[0].data for p in prompts] == ["", "too long"]


def test_a_shared_prompt_gets_one_gradient():
    """However many conversations it stands in."""
    prompt = cog.Parameter("Be nice.", role="prompt")
    threads = cog.Conversations.start(3, [prompt])
    result = F.chat(ScriptedModel("ok"), threads)
    with credit_mode("passthrough"):
        result.output.backward(Variable(["a", "", "c"]))
    (gradient,) = prompt.grad
    assert [record.critique for record in gradient.evidence] == ["a", "", "c"]


def test_tool_descriptions_get_feedback():
    """They are inputs of the turn."""
    tool = cog.Tool(shout, cog.Parameter("Noise.", role="tool"))
    threads = cog.Conversations.start(1, [Variable("hi")])
    result = F.chat(ScriptedModel("ok"), threads, tools=[tool])
    critic = ScriptedModel(feedback("Say when."))
    with set_backward_model_client(critic):
        result.output.backward(Variable("wrong"))
    assert tool.description.grad[0].data == "Say when."
    assert "shout: Noise." in critic.requests[0].messages[1]["content"]


class Mood(pydantic.BaseModel):
    mood: str
    score: int


def test_fields_are_tracked():
    """Feedback on a field is feedback on the reply, naming the field."""
    prompt = cog.Parameter("Feel.", role="prompt")
    replies = ['{"mood": "good", "score": 3}', '{"mood": "bad", "score": 1}']
    threads = cog.Conversations.start(2, [prompt])
    result = F.chat(ScriptedModel(replies), threads, output_format=Mood)
    assert [item.mood for item in result.parsed] == ["good", "bad"]
    assert list(result.fields) == ["mood", "score"]
    assert result.fields.score.data == [3, 1]
    assert result.fields["mood"].data == ["good", "bad"]
    assert result.parse_error is None
    with credit_mode("passthrough"):
        result.fields.mood.backward(Variable(["", "too sad"]))
    (gradient,) = prompt.grad
    assert gradient.data.endswith("too sad")
    assert "'mood'" in gradient.data
    with pytest.raises(AttributeError, match="did you mean 'mood'"):
        result.fields.mod


def test_a_reply_that_does_not_fit_is_kept_apart():
    """The other samples are parsed; the error says what was wrong."""
    schema = {
        "type": "json_schema",
        "json_schema": {"name": "m", "schema": Mood.model_json_schema()},
    }
    good = json.dumps({"mood": "good", "score": 3})
    threads = [
        [{"role": "user", "content": [blocks.text(t)]}] for t in ("alpha", "omega")
    ]
    model = ScriptedModel({"omega": "no idea", "alpha": good})
    result = F.chat(model, threads, output_format=schema)
    assert result.parsed == ({"mood": "good", "score": 3}, None)
    assert result.parse_error[0] is None
    assert "JSON" in str(result.parse_error[1])
    assert result.output.data == [good, "no idea"]
    assert result.fields.mood.data == ["good", None]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: F.chat(m, [[]]), TypeError, "conversation 0 has no messages"),
        (lambda m: F.chat(m, "hi"), TypeError, "one list of messages per sample"),
        (lambda m: F.chat(m, ["hi"]), TypeError, "a conversation is a list"),
        (lambda m: F.chat(m, [[{"role": "bot"}]]), TypeError, "'role' of"),
        (lambda m: F.chat(m, thread("x")), TypeError, "must be a list of blocks"),
        (lambda m: F.chat(m, thread([3])), TypeError, "content block, got int"),
        (lambda m: F.chat(m, thread([{"type": "zz"}])), TypeError, "'zz'"),
        (lambda m: F.chat(m, thread([]), where=[1, 0]), ValueError, "2 entries"),
        (lambda m: F.chat(m, thread([]), where=True), TypeError, "BoolMask"),
        (lambda m: F.chat(m, thread([Variable(["a"] * 2)])), ValueError, "2 samples"),
        (lambda m: F.chat("m", thread([])), TypeError, "forward_model_client"),
        (lambda m: F.last_replies([]), ValueError, "got none"),
        (lambda m: F.last_replies("x"), TypeError, "what chat"),
        (lambda m: F.run_tools("x", []), TypeError, "what chat"),
        (lambda m: cog.Conversations.start("2", "x"), ValueError, "size"),
        (lambda m: cog.Conversations.start(2, 3), TypeError, "list of blocks"),
    ],
)
def test_wrong_arguments_are_refused(call, error, words):
    """The error names what was wrong, before anything is sent."""
    model = ScriptedModel("x")
    with pytest.raises(error, match=words):
        call(model)
    assert model.requests == []


def thread(content):
    """Return one conversation of one message."""
    return [[{"role": "user", "content": content}]]


def test_a_result_belongs_to_its_conversations():
    """Appending it to others is refused, and nothing is appended."""
    result = F.chat(ScriptedModel("x"), thread([Variable("a")]))
    others = cog.Conversations.start(2, [Variable("a")])
    with pytest.raises(ValueError, match="has 1 samples"):
        others.append(result)
    assert [len(t) for t in others] == [1, 1]


def test_conversations_share_no_lists():
    """A turn appended to one does not appear in another, nor in what they came from."""
    first = [{"role": "user", "content": [blocks.text("a")]}]
    threads = cog.Conversations([first, first])
    threads[0].append({"role": "user", "content": []})
    threads[1][0]["content"].append(blocks.text("b"))
    assert [len(t) for t in threads] == [2, 1]
    assert first == [{"role": "user", "content": [blocks.text("a")]}]


def test_arguments_that_are_no_json_are_told():
    """What the client could not read is still known when the tools are run."""
    call = ToolCall("c", "shout", {}, "the arguments of shout are not valid JSON")
    reply = Reply(None, tool_calls=(call,), stop_reason="tool_use")
    result = F.chat(ScriptedModel(reply), thread([Variable("a")]), tools=[shout])
    (message,) = F.run_tools(result, [shout]).content
    assert "not valid JSON" in message["content"][0]["content"]


def test_start_takes_one_text_for_a_list():
    """A text, a Variable or a block stands for a list of it."""
    prompt = Variable("Be nice.")
    ((system, user),) = cog.Conversations.start(1, "Hi", prompt)
    assert system["content"] == [prompt]
    assert user["content"] == [blocks.text("Hi")]
    assert cog.Conversations.start(0, "Hi") == []


def test_a_mask_may_leave_all_out():
    """Nothing is asked, and nothing is sent."""
    model = ScriptedModel("x")
    result = F.chat(model, thread([Variable("a")]), where=BoolMask([False]))
    assert result.output.data == [None]
    assert result.stop_reason.reasons == (None,)
    assert model.requests == []
