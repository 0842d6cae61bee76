"""What surrounds every stage: its loggers, its manifest, its events, its warnings."""

from __future__ import annotations

import json
import re

import pytest
from trainer_helpers import Agent, Growing, batch, quiet

import afnio
import afnio.cognitive as cog
from afnio import tracking
from afnio.errors import BadRequestError
from afnio.models.testing import ScriptedModel
from afnio.tracking import RunLogger, read_run
from afnio.trainer import Callback, Trainer

DATA = [batch("1", "2"), batch("3")]
TURNS = [{"role": "user", "content": [afnio.Variable("?", "question")]}]


class Keeping(RunLogger):
    """Keeps what it is told."""

    def __init__(self):
        self.metrics, self.events, self.ends, self.facts = [], [], [], {}

    def log_metrics(self, metrics, step):
        self.metrics += [(name, value, step) for name, value in metrics.items()]

    def log_event(self, kind, fields):
        self.events.append(kind)

    def describe(self, facts):
        self.facts |= facts

    def finish(self, status):
        self.ends.append(status)


def events_of(run, kind):
    """Return the events of one kind."""
    return [event for event in read_run(run.path)[1] if event["type"] == kind]


def trained(**options):
    """Train and test an agent in a run; return both."""
    agent = Agent(lambda params: Growing(params, texts=("bad", "good")))
    trainer = quiet(**options)
    with tracking.init("me", "P") as run:
        trainer.test(agent, DATA)
        trainer.fit(agent, DATA, DATA)
        trainer.test(agent, DATA)
    return run, trainer


class TestLoggers:
    def test_they_join_the_active_run(self):
        """They get the run's events, once, and end with it."""
        logger = Keeping()
        with tracking.init("me", "P"):
            trainer = quiet(loggers=[logger])
            trainer.fit(Agent(), DATA, DATA)
            trainer.test(Agent(), DATA)
            assert not logger.ends
        assert logger.ends == ["COMPLETED"]
        assert ("val_loss", 0.0, 1) in logger.metrics
        assert logger.events.count("fit_start") == 1
        assert logger.facts["settings"]["max_epochs"] == 1

    def test_without_a_run_they_are_on_their_own(self):
        """No directory is made; they end with the process."""
        logger = Keeping()
        trainer = quiet(loggers=[logger], enable_checkpointing=False)
        trainer.fit(Agent(), DATA)
        assert tracking.get_active_run() is None
        tracking.run_context.finish_all()
        assert logger.ends == ["COMPLETED"]
        assert logger.metrics[0][0] == "train_loss"
        assert {"fit_start", "step", "epoch", "usage"} <= set(logger.events)

    def test_one_that_fails_never_stops_training(self):
        """One warning, and the fit is done."""

        class Broken(RunLogger):
            def log_event(self, kind, fields):
                raise OSError

        trainer = quiet(loggers=[Broken()])
        with (
            pytest.warns(RuntimeWarning, match="Broken has failed") as warned,
            tracking.init("me", "P") as run,
        ):
            trainer.fit(Agent(), DATA)
        assert len(warned) == 1
        assert trainer.global_step == 2
        assert len(events_of(run, "logger_failed")) == 1


class TestManifest:
    def test_where_a_fit_comes_from(self):
        """Digests of program, prompts and data; models, seeds and settings."""
        run, _ = trained(seed=3)
        manifest = read_run(run.path)[0]["manifest"]
        hashes = manifest["hashes"]
        assert "trainer_helpers.py" in hashes["program"]
        assert re.fullmatch(r"sha256:\w{64}", hashes["prompts"]["word"])
        data = hashes["data"]
        assert data["train"]["samples"] == data["test"]["samples"] == 3
        assert data["train"]["sample_set"] == data["validation"]["sample_set"]
        assert manifest["seeds"]["trainer"] == manifest["settings"]["seed"] == 3

    def test_models_without_keys(self):
        """Each with its use; what they were configured with is there."""

        class Asking(Agent):
            def __init__(self):
                super().__init__()
                self.chat = cog.ChatCompletion(ScriptedModel("x", model="m"), TURNS)

        with tracking.init("me", "P") as run:
            quiet().fit(Asking(), DATA)
        (model,) = read_run(run.path)[0]["manifest"]["models"]
        assert (model["used_for"], model["model"]) == ("chat.forward_model_client", "m")

    def test_prompts_are_files(self):
        """The first value and the latest, as plain text."""
        run, _ = trained()
        folder = run.path / "prompts" / "word"
        texts = {file.stem: file.read_text() for file in folder.iterdir()}
        assert texts == {"initial": "bad", "last": "good"}


class TestEvents:
    def test_outcomes(self):
        """Every sample with its answer; inputs and targets only the first time."""
        run, _ = trained()
        first, last = events_of(run, "outcomes")
        assert (first["stage"], first["step"], last["step"]) == ("test", 0, 2)
        one = next(row for row in first["samples"] if row["input"] == "1")
        assert (one["output"], one["target"], one["score"]) == ("bad1", "good1", 0)
        again = next(row for row in last["samples"] if row["key"] == one["key"])
        assert again.keys() == {"key", "output", "score", "success"}
        tests = events_of(run, "test")
        assert first["sample_set"] == last["sample_set"] == tests[0]["sample_set"]

    def test_a_fit(self):
        """Its start, evidence, graph, usage, changed parameters, and end."""
        run, trainer = trained()
        (start,), (end,) = events_of(run, "fit_start"), events_of(run, "fit_end")
        assert (start["step"], start["batches"], end["steps"]) == (0, 2, 2)
        assert end["last_path"] == "checkpoints/last.json"
        _, told, changed = events_of(run, "parameters")
        assert told["optimizers"] == [{"name": "Growing", "parameters": ["word"]}]
        assert changed["values"] == [{"name": "word", "role": "word", "data": "good"}]
        evidence = events_of(run, "evidence")
        assert [event["step"] for event in evidence] == [1, 2]
        assert evidence[0]["samples"][0]["critique"]
        assert len(events_of(run, "graph")) == 1
        usage = events_of(run, "usage")
        assert {event["stage"] for event in usage} == {"test", "fit"}
        assert all("roles" in event for event in usage)  # a killed run has a summary
        (epoch,) = events_of(run, "epoch")
        assert epoch["interval"] == list(trainer.history[-2].interval)

    def test_a_fit_that_fails_has_an_end_too(self):
        """So that a report shows how far it came."""

        class Failing(Agent):
            def training_step(self, batch, batch_idx):
                raise KeyError

        with pytest.raises(KeyError), tracking.init("me", "P") as run:
            quiet().fit(Failing(), DATA)
        assert events_of(run, "fit_end")[0]["steps"] == 0

    def test_hostile_texts_stay_data(self):
        """Names that are paths, and texts with anything in them, harm nothing."""

        class Odd(Agent):
            def __init__(self):
                super().__init__(word="\ud800\x00</script>" + "x" * 10_000)

        with tracking.init("me", "P") as run:
            trainer = quiet()
            trainer.fit(Odd(), DATA)
            trainer.test(Odd(), DATA)
        (event,) = events_of(run, "outcomes")
        assert len(event["samples"][0]["output"]) < 500
        json.loads((run.path / "run.json").read_text())


class TestWarnings:
    def test_a_failed_call_that_nobody_read(self):
        """It is told at the end, in the run, and in the summary."""

        def down(messages, **_):
            raise BadRequestError("no such model")

        class Careless(Agent):
            def __init__(self):
                super().__init__()
                self.chat = cog.ChatCompletion(ScriptedModel(down), TURNS)

            def training_step(self, batch, batch_idx):
                self.chat(inputs={})
                return super().training_step(batch, batch_idx)

        trainer = quiet()
        with (
            pytest.warns(RuntimeWarning, match="2 model calls failed"),
            tracking.init("me", "P") as run,
        ):
            trainer.fit(Careless(), DATA)
        (event,) = events_of(run, "warning")
        assert "forward call: BadRequestError: no such model" in event["message"]
        assert f"Warning: {event['message']}" in str(trainer.summary())

    def test_calls_that_are_retried_are_not_told(self):
        """They were read, and the retry has succeeded."""
        answers = iter([afnio.errors.RateLimitError("busy"), "x", "x"])

        class Asking(Agent):
            def __init__(self):
                super().__init__()
                model = ScriptedModel(lambda *_, **__: next(answers))
                model._retry = type(model._retry)(max_retries=0)
                self.chat = cog.ChatCompletion(model, TURNS)

            def training_step(self, batch, batch_idx):
                assert self.chat(inputs={}).data
                return super().training_step(batch, batch_idx)

        trainer = quiet(max_retries=1)
        trainer.fit(Asking(), DATA)
        assert trainer.warnings == []


class TestExamples:
    def test_one_that_got_better_and_one_that_got_worse(self):
        """Before and after, with their scores."""
        agent = Agent(lambda params: Growing(params, texts=("good",)))
        data = [
            (afnio.Variable(["1", "2"], role="x"), afnio.Variable(["good1", "bad2"]))
        ]
        trainer = quiet()
        trainer.test(agent, data)
        trainer.fit(agent, data)
        trainer.test(agent, data)
        summary = trainer.summary()
        better, worse = summary.examples
        assert (better.input, better.before, better.after) == ("1", "bad1", "good1")
        assert (worse.input, worse.before, worse.after) == ("2", "bad2", "good2")
        text = str(summary)
        assert 'better: "1" (expected "good1")' in text
        assert 'worse: "2" (expected "bad2")' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_epoch": 3}, "did you mean 'max_epochs'"),
        ({"callback": []}, "did you mean 'callbacks'"),
        ({"enable_checkpointing": "no"}, "enable_checkpointing is str; expected True"),
        ({"callbacks": 3}, "list of callbacks, got int"),
        ({"callbacks": [Callback]}, r"class Callback; pass Callback\(\)"),
        ({"callbacks": [3]}, "holds int, which has no hook"),
        ({"default_root_dir": 3}, "default_root_dir is int; expected a path"),
        ({"monitor": 3}, "monitor is int; expected a metric"),
        ({"seed": []}, "seed is list"),
        ({"loggers": "wandb"}, "list of loggers, got str"),
    ],
)
def test_wrong_arguments(arguments, message):
    """The message says what was wrong, and what was meant."""
    with pytest.raises(TypeError, match=message):
        Trainer(**arguments)


def test_options_have_names():
    """A number alone is refused with an example (TR01)."""
    with pytest.raises(TypeError, match=r"Trainer\(max_epochs=3\)"):
        Trainer(3)
