"""The program that the documents show, as they show it, on real messages."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.cognitive.parameter import Parameter
from afnio.models import _roles
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD
from afnio.tracking import init, read_run
from afnio.trainer import Trainer
from afnio.utils.data import DataLoader, WeightedRandomSampler
from afnio.utils.datasets import FacilitySupport

SHARED = Path(afnio.__file__).parents[2] / "shared" / "data"
TASK = "Read the message and determine the sentiment."
BETTER = "Name the sentiment: positive, neutral or negative. Answer in JSON."
CLIENT = "sentiment_classifier.forward_model_client"

pytestmark = pytest.mark.skipif(
    not (SHARED / "facility_support" / "dataset.json").is_file(),
    reason="needs ../shared/data/facility_support",
)


class SentimentAnalyzer(cog.Module):
    """One prompt, one template, one call."""

    def __init__(self):
        super().__init__()
        self.prompt = Parameter(data=TASK, role="system prompt", requires_grad=True)
        self.template = Variable("Message:\n\n{message}", role="input template")
        self.sentiment_classifier = cog.ChatCompletion()

    def forward(self, client, inputs, **completion_args):
        messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [self.template]},
        ]
        return self.sentiment_classifier(
            client, messages, inputs=inputs, **completion_args
        )

    def training_step(self, batch, batch_idx):
        x, (_, gold, _) = batch
        pred = self(
            fw_client, inputs={"message": x}, model="gpt-small", temperature=0.0
        )
        pred.data = [json.loads(text)["sentiment"].lower() for text in pred.data]
        loss = F.exact_match_evaluator(pred, gold)
        score, _ = loss
        return {"loss": loss, "accuracy": score.data / len(gold.data)}

    def validation_step(self, batch, batch_idx):
        return self.training_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self):
        constraints = [
            Variable("The prompt must stay short.", role="optimizer constraint")
        ]
        return TGD(
            self.parameters(),
            model_client=optim_client,
            constraints=constraints,
            momentum=3,
            model="gpt-large",
            temperature=1.0,
        )


fw_client = bw_client = optim_client = None


def answering(golds):
    """Return a model that is right with the better prompt, and else says neutral."""

    def reply(messages, **args):
        message = messages[-1]["content"].removeprefix("Message:\n\n")
        right = messages[0]["content"] == BETTER
        return json.dumps({"sentiment": golds[message] if right else "Neutral"})

    return ScriptedModel(reply)


def rewrite(messages, **args):
    """Propose the better prompt, in the form that the last message asks for."""
    tag = re.search(r"<(new_\w+)>", messages[-1]["content"])[1]
    return f"<{tag}>\n{BETTER}\n</{tag}>"


def criticize(messages, response_format, **args):
    """Say the same about everything that feedback is wanted on."""
    names = response_format["json_schema"]["schema"]["required"]
    return json.dumps(dict.fromkeys(names, "Say which sentiments there are."))


@pytest.fixture
def loaders():
    """Batches of 33: weighted for training, in order elsewhere."""
    parts = [FacilitySupport(part, root=SHARED) for part in ("train", "val", "test")]
    labels = [sentiment.data for _, (_, sentiment, _) in parts[0]]
    counts = Counter(labels)
    weights = [1.0 / counts[label] for label in labels]
    sampler = WeightedRandomSampler(weights, num_samples=len(weights), seed=1)
    train, val, test = parts
    return (
        DataLoader(train, batch_size=33, sampler=sampler),
        DataLoader(val, batch_size=33, seed=42),
        DataLoader(test, batch_size=33, seed=42),
    )


@pytest.fixture
def _clients(loaders, monkeypatch):
    """Scripted clients, in the places where the program's own would be."""
    golds = {
        message.data: sentiment.data
        for loader in loaders
        for message, (_, sentiment, _) in loader.dataset
    }
    made = {
        "fw_client": answering(golds),
        "bw_client": ScriptedModel(criticize),
        "optim_client": ScriptedModel(rewrite),
    }
    for name, client in made.items():
        monkeypatch.setitem(globals(), name, client)
    monkeypatch.setattr(_roles._setting, "_default", None)


@pytest.mark.usefixtures("_clients")
def test_the_documented_program(loaders, tmp_path, monkeypatch, capsys):
    """Test, fit, test, save, load and test again: it gets better, and adds up."""
    monkeypatch.chdir(tmp_path)
    train, val, test = loaders
    run = init("me", "Facility Support")
    afnio.set_backward_model_client(bw_client)
    agent = SentimentAnalyzer()
    trainer = Trainer(max_epochs=2)
    llm_clients = [fw_client, afnio.get_backward_model_client(), optim_client]

    before = trainer.test(agent=agent, test_dataloader=test, llm_clients=llm_clients)
    trainer.fit(
        agent=agent,
        train_dataloader=train,
        val_dataloader=val,
        llm_clients=llm_clients,
    )
    after = trainer.test(agent=agent, test_dataloader=test, llm_clients=llm_clients)
    run.finish()

    assert (before["accuracy"], after["accuracy"]) == (pytest.approx(0.5, abs=0.2), 1)
    assert agent.prompt.data == BETTER
    summary = trainer.summary()
    assert [look.samples for look in summary.looks] == [68, 68]
    assert summary.difference.higher == sum(s < 1 for s in summary.looks[0].scores)
    assert summary.usage["test"].calls == 2 * 68
    assert summary.usage["optimizer"].calls == len(optim_client.requests)
    assert f"+{BETTER.split('. ')[0]}" in str(summary)
    logged = {event.get("name") for event in read_run(run.path)[1]}
    assert {"test_accuracy", "train_loss", "val_accuracy"} <= logged
    assert "[Training] 2/2" in capsys.readouterr().err

    afnio.save(agent.state_dict(), "agent.hf")
    checkpoint = afnio.load(trainer.best_path)
    for state in (afnio.load("agent.hf"), checkpoint["agent_state_dict"]):
        fresh = SentimentAnalyzer()
        report = fresh.load_state_dict(state, model_clients={CLIENT: fw_client})
        assert repr(report) == "<All keys matched successfully>"
        assert Trainer(max_epochs=2).test(fresh, test)["accuracy"] == 1
