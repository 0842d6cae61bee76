"""Tests of afnio.utils.agents.sentiment_analyzer."""

import io

import afnio.cognitive.functional as F
from afnio import Variable, serialization
from afnio.autodiff.credit import credit_mode
from afnio.models.testing import ScriptedModel
from afnio.utils.agents import SentimentAnalyzer
from afnio.utils.agents.sentiment_analyzer import SENTIMENT_SCHEMA

POSITIVE = '{"sentiment":"positive"}'


def test_repr():
    """AG01: the repr shows the one child."""
    assert repr(SentimentAnalyzer()) == (
        "SentimentAnalyzer(\n  (sentiment_classifier): ChatCompletion()\n)"
    )


def test_one_parameter():
    """AG02: the system prompt is the one thing to learn."""
    ((name, param),) = SentimentAnalyzer().named_parameters()
    assert name == "sentiment_task"
    assert param.data == "Read the provided message and determine the sentiment."
    assert param.role == "system prompt for sentiment classification"


def test_request():
    """AG03: the client gets both messages, filled, and the schema."""
    model = ScriptedModel(POSITIVE)
    reply = SentimentAnalyzer()(model, inputs={"message": "I love it"}, temperature=0)
    assert reply.data == POSITIVE
    system, user = model.requests[0].messages
    assert system["role"] == "system"
    assert "I love it" in user["content"]
    assert model.requests[0].args["response_format"] == SENTIMENT_SCHEMA
    assert model.requests[0].args["temperature"] == 0


def test_response_format_may_be_overridden():
    """Passing response_format yourself replaces the schema."""
    model = ScriptedModel("fine")
    agent = SentimentAnalyzer()
    reply = agent(model, inputs={"message": "x"}, response_format={"type": "text"})
    assert reply.data == "fine"
    assert model.requests[0].args["response_format"] == {"type": "text"}


def test_learns_saves_and_loads():
    """Feedback reaches the prompt; a new agent takes over what was learned."""
    agent, model = SentimentAnalyzer(), ScriptedModel(POSITIVE)
    messages = Variable(["I love it", "I hate it"])
    prediction = agent(model, inputs={"message": messages})
    gold = [POSITIVE, '{"sentiment":"negative"}']
    score, explanation = F.exact_match_evaluator(prediction, gold)
    with credit_mode("passthrough"):
        explanation.backward()
    assert score.data == 1
    (gradient,) = agent.sentiment_task.grad
    assert [record.success for record in gradient.evidence] == [True, False]
    agent.sentiment_task.data = "Name the sentiment."
    file = io.BytesIO()
    serialization.save({"agent_state_dict": agent.state_dict()}, file)
    saved = serialization.load(io.BytesIO(file.getvalue()))["agent_state_dict"]
    fresh = SentimentAnalyzer()
    result = fresh.load_state_dict(
        saved, model_clients={"sentiment_classifier.forward_model_client": model}
    )
    assert repr(result) == "<All keys matched successfully>"
    assert fresh(model, inputs={"message": "x"}).data == POSITIVE
    assert model.requests[-1].messages[0]["content"] == "Name the sentiment."
