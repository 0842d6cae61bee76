"""A whole training run, recorded once, then replayed without any model or network."""

import json
import random
import socket
import threading
from pathlib import Path

import pytest

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable
from afnio.errors import ReplayMissError
from afnio.models import ReplyCache, use_cache
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.trainer import Trainer

QUESTIONS = [Variable([f"number {n}", f"number {n + 1}"], "question") for n in range(4)]
ANSWERS = [Variable(["yes", "no"], "answer") for _ in range(4)]
DATA = list(zip(QUESTIONS, ANSWERS, strict=True))


class Program(cog.Module):
    """One model call, judged by exact match."""

    def __init__(self, client, rewriter):
        super().__init__()
        self.prompt = cog.Parameter("Answer.", role="system prompt", requires_grad=True)
        self.question = Variable("{text}", "message")
        self.client, self.rewriter = client, rewriter

    def forward(self, text):
        messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [self.question]},
        ]
        return F.chat_completion(
            self.client, messages, inputs={"text": text}, temperature=1
        )

    def step(self, batch):
        question, target = batch
        loss = F.exact_match_evaluator(self(question), target)
        return {"loss": loss, "accuracy": loss[0].data / 2}

    def training_step(self, batch, batch_idx):
        return self.step(batch)

    def validation_step(self, batch, batch_idx):
        return self.step(batch)

    def configure_optimizers(self):
        return TGD(self.parameters(), model_client=self.rewriter, momentum=1)


def refuse(*_args, **_kwargs):
    """Stand for a network, and for models, that must not be reached."""
    raise AssertionError("a replay asked somebody")


class Moody:
    """Models whose answers cannot be guessed: another word whenever they are asked."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()

    def word(self):
        with self.lock:
            return self.random.choice(["yes", "no", "perhaps", "never"])

    def models(self):
        return [
            ScriptedModel(lambda *_, **__: self.word(), name="forward"),
            ScriptedModel(
                lambda m, **args: feedback(self.word())(m, **args), name="critic"
            ),
            ScriptedModel(
                lambda m, **_: in_tags(f"Say {self.word()}.")(m), name="rewriter"
            ),
        ]


def run(root, models, cache):
    """Train, and return everything that the run knows, as bytes."""
    client, critic, rewriter = models
    program = Program(client, rewriter)
    trainer = Trainer(
        max_epochs=2,
        seed=3,
        default_root_dir=root,
        enable_progress_bar=False,
        enable_agent_summary=False,
    )
    with use_cache(cache), afnio.set_backward_model_client(critic):
        trainer.fit(program, DATA, DATA[:2])
    known = {
        "history": [record.to_dict() for record in trainer.history],
        "prompt": program.prompt.data,
    }
    cache.close()
    return json.dumps(known, sort_keys=True).encode()


@pytest.fixture
def recorded(tmp_path):
    """Record a run; returns what it knew, and the file."""
    file = tmp_path / "run.sqlite"
    models = Moody(seed=1).models()
    known = run(tmp_path / "first", models, ReplyCache(file, "record"))
    assert all(model.requests for model in models)
    return known, file


def silent():
    """Return models that must not be asked."""
    return [ScriptedModel(refuse, name=n) for n in ("forward", "critic", "rewriter")]


def test_replayed_run_is_the_same_byte_for_byte(recorded, tmp_path, monkeypatch):
    """No model is asked, nothing is connected, and the history is the recorded one."""
    known, file = recorded
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    models = silent()
    for number in range(2):
        root = tmp_path / str(number)
        assert run(root, models, ReplyCache(file, "replay")) == known
        models = silent()
    assert b"Say " in known


def test_models_that_change_their_mind_would_be_noticed(recorded, tmp_path):
    """Without the recording, moody models make another history: the proof means it."""
    known, _ = recorded
    other = ReplyCache(tmp_path / "other.sqlite", "record")
    assert run(tmp_path / "second", Moody(seed=2).models(), other) != known


def test_replay_of_a_changed_program_names_the_change(recorded, tmp_path):
    """A program that asks something new fails, and says what it asks differently."""
    _, file = recorded

    class Changed(Program):
        def __init__(self, *models):
            super().__init__(*models)
            self.prompt.data = "Answer quickly."

    client, critic, rewriter = silent()
    trainer = Trainer(
        max_epochs=1,
        default_root_dir=tmp_path / "changed",
        enable_progress_bar=False,
        enable_agent_summary=False,
    )
    cache = ReplyCache(file, "replay")
    with (
        use_cache(cache),
        afnio.set_backward_model_client(critic),
        pytest.raises(ReplayMissError, match="Answer quickly"),
    ):
        trainer.fit(Changed(client, rewriter), DATA)
    cache.close()


def test_recording_holds_no_code_and_no_key(recorded):
    """The file is data: SQLite, with the texts of requests and replies as JSON."""
    _, file = recorded
    assert Path(file).read_bytes().startswith(b"SQLite format 3\0")
