"""fit, validate, test and predict, as the documents say."""

from __future__ import annotations

import asyncio

import pytest
from trainer_helpers import Agent, batch, quiet

import afnio
from afnio import Variable, tracking
from afnio.cognitive import functional as F
from afnio.errors import InputTypeError, InputValueError
from afnio.models import plan
from afnio.trainer import Callback, EarlyStopping, Trainer

DATA = [batch("1", "2"), batch("3")]


def result(value, text="why"):
    """Return what an evaluator would."""
    return (Variable(value), Variable(text))


class Fixed(Agent):
    """Returns given outputs from test_step."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs

    def test_step(self, batch, batch_idx):
        return self.outputs[batch_idx]


class TestArguments:
    def test_fit_needs_batches(self):
        """No train loader is a ValueError (TR03)."""
        with pytest.raises(ValueError, match="train_dataloader"):
            quiet().fit(Agent())

    @pytest.mark.parametrize(
        "arguments",
        [
            {"agent": 3, "train_dataloader": DATA},
            {"agent": Agent(), "train_dataloader": 3},
            {"agent": Agent(), "train_dataloader": DATA, "val_dataloader": 3},
            {"agent": Agent(), "train_dataloader": DATA, "ckpt_path": 3},
            {"agent": Agent(), "train_dataloader": DATA, "llm_clients": [3]},
        ],
    )
    def test_wrong_kinds_are_refused(self, arguments):
        """Each argument of the wrong kind is a TypeError (TR03)."""
        with pytest.raises(TypeError):
            quiet().fit(**arguments)

    def test_a_missing_step_is_noticed_before_anything_is_paid(self):
        """The documented AttributeError comes before the first training step."""

        class NoValidation(Agent):
            validation_step = afnio.cognitive.Module.validation_step

        agent = NoValidation()
        with pytest.raises(AttributeError, match="validation_step"):
            quiet().fit(agent, DATA, DATA)
        assert agent.seen == []

    @pytest.mark.parametrize("method", ["fit", "validate", "test", "predict"])
    def test_an_empty_loader_is_an_error(self, method):
        """It is no silent success."""
        with pytest.raises(ValueError, match="no batches"):
            getattr(quiet(), method)(Agent(), [])

    def test_a_generator_that_ran_out_is_named(self):
        """The second epoch of a generator says what to do."""
        with pytest.raises(ValueError, match=r"epoch 2.*pass a list"):
            quiet(max_epochs=2).fit(Agent(), (item for item in DATA))


class TestEvaluation:
    def test_a_pair(self):
        """The documented pair gives a loss, logged without a step (TR06)."""
        run = tracking.init("me", "P")
        trainer = quiet()
        assert trainer.test(Fixed(result(2)), [batch("1")]) == {"loss": 2.0}
        run.finish()
        _, events = tracking.read_run(run.path)
        logged = [(e["name"], e["value"], e["step"]) for e in events if "name" in e]
        assert logged == [("test_loss", 2.0, 0)]

    def test_means_are_weighted_by_samples(self):
        """A batch of two counts twice (TR11)."""
        agent = Fixed(result(1), result(0))
        assert quiet().test(agent, DATA) == {"loss": pytest.approx(2 / 3)}

    def test_skipped_batches_do_not_count(self):
        """A step that returns None is left out (TR07)."""
        assert quiet().test(Fixed(None, result(1)), DATA) == {"loss": 1.0}

    def test_nothing_is_recorded_and_modes_come_back(self):
        """no_grad and eval inside; as before afterwards, child by child (TR13)."""
        modes = []

        class Watching(Agent):
            def validation_step(self, batch, batch_idx):
                modes.append((afnio.is_grad_enabled(), self.training))
                return super().validation_step(batch, batch_idx)

        agent = Watching()
        agent.child = Agent().eval()
        quiet().validate(agent, DATA)
        assert modes == [(False, False)] * 2
        assert (agent.training, agent.child.training) == (True, False)
        assert afnio.is_grad_enabled()

    def test_modes_come_back_after_an_error(self):
        """A failing step leaves the agent in training mode."""
        agent = Fixed(5)
        with pytest.raises(ValueError, match="test_step"):
            quiet().test(agent, DATA)
        assert agent.training

    def test_an_async_step_is_awaited(self):
        """Steps may be coroutines."""

        class Async(Agent):
            async def test_step(self, batch, batch_idx):
                text, target = batch
                return F.exact_match_evaluator(await self.acall(text), target)

        assert quiet().test(Async(word="good"), [DATA[1]]) == {"loss": 1.0}

    def test_inside_a_running_loop(self):
        """The a-form works on any event loop."""
        work = quiet().atest(Agent(word="good"), DATA)
        assert asyncio.run(work)["accuracy"] == 1.0

    def test_every_look_at_the_test_set_is_recorded(self):
        """Looks are counted, with the interval of the score."""
        trainer = quiet()
        trainer.test(Agent(word="good"), DATA)
        trainer.test(Agent(), DATA)
        assert trainer.test_looks == 2
        first, second = (r for r in trainer.history if r.kind == "test")
        assert first.samples == 3
        assert first.interval[1] == 1.0
        assert second.interval[0] == 0.0

    def test_predict_returns_ready_outputs_in_order(self):
        """By default the agent is called with the batch."""
        outputs = quiet().predict(
            Agent(word="w"), [Variable("1"), Variable(["2", "3"])]
        )
        assert [output.data for output in outputs] == ["w1", ["w2", "w3"]]

    def test_metrics_of_validate_carry_no_prefix(self):
        """The prefix is for logs."""
        trainer = quiet()
        assert trainer.validate(Agent(), DATA) == {"loss": 0.0, "accuracy": 0.0}
        assert trainer.logged_metrics["val_accuracy"] == 0.0

    def test_user_errors_are_raised_at_once(self):
        """A bug in a step is neither retried nor wrapped."""
        calls = []

        class Buggy(Agent):
            def test_step(self, batch, batch_idx):
                calls.append(batch_idx)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            quiet(max_retries=3).test(Buggy(), [DATA[0]])
        assert calls == [0]


class TestOutput:
    def test_lines_where_there_is_no_terminal(self, capsys):
        """Without a terminal, each phase leaves plain lines on standard error."""
        Trainer(max_epochs=1).fit(Agent(), DATA, DATA)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "Agent(" in shown.err
        assert "1 parameter, 1 to be trained" in shown.err
        lines = shown.err.splitlines()
        assert "Epoch 1/1" in lines
        (train,) = [line for line in lines if line.startswith("[Training] 2/2")]
        assert "tot_cost: $0.0000 train_loss: " in train
        (val,) = [line for line in lines if line.startswith("[Validation] 2/2")]
        assert "val_accuracy: " in val

    def test_quiet_means_quiet(self, capsys):
        """Both switches off, nothing is printed."""
        quiet().fit(Agent(), DATA, DATA)
        shown = capsys.readouterr()
        assert shown.out == shown.err == ""


def test_a_test_from_within_a_fit_is_counted_and_shown(capsys):
    """A callback may look at the test set; the look is on record, the fit goes on."""

    class Peeking(Callback):
        async def on_train_epoch_end(self, trainer, agent):
            await trainer.atest(agent, DATA)

    trainer = Trainer(max_epochs=2, callbacks=[Peeking()])
    trainer.fit(Agent(), DATA)
    assert trainer.test_looks == 2
    kinds = [record.kind for record in trainer.history if record.kind != "step"]
    assert kinds == ["epoch", "test"] * 2
    shown = capsys.readouterr().err
    assert shown.count("[Test] 2/2") == shown.count("[Training] 2/2") == 2


def test_hooks_of_agent_and_callbacks_run_around_a_test():
    """Callbacks come first, setup before and teardown after everything."""
    calls = []

    class Noting(Callback):
        def setup(self, trainer, agent, stage):
            calls.append(("setup", stage))

        def teardown(self, trainer, agent, stage):
            calls.append(("teardown", stage))

        def on_test_start(self, trainer, agent):
            calls.append("callback start")

        async def on_test_batch_end(self, trainer, agent, outputs, batch, batch_idx):
            calls.append(("batch", batch_idx, outputs["accuracy"]))

        def on_exception(self, trainer, agent, error):
            calls.append(type(error).__name__)

    class Hooked(Agent):
        def on_test_start(self):
            calls.append("agent start")

    quiet(callbacks=[Noting()]).test(Hooked(), [DATA[1]])
    assert calls == [
        ("setup", "test"),
        "callback start",
        "agent start",
        ("batch", 0, 0.0),
        ("teardown", "test"),
    ]
    calls.clear()
    with pytest.raises(ValueError, match="no batches"):
        quiet(callbacks=[Noting()]).test(Hooked(), [])
    assert calls[-2:] == ["InputValueError", ("teardown", "test")]


def test_best_before_there_is_one_says_so(tmp_path, monkeypatch):
    """The word is no path: nothing was fitted, or checkpoints are off."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputValueError, match=r"no checkpoint yet, and there is no .*best.json; fit"
    ):
        quiet().test(Agent(), DATA, ckpt_path="best")


@pytest.mark.parametrize("loader", ["train.jsonl", b"x"])
def test_text_is_no_loader(loader):
    """Its letters are no batches."""
    with pytest.raises(InputTypeError, match="iterable of batches"):
        quiet().fit(Agent(), loader)
    with pytest.raises(InputTypeError, match="iterable of batches"):
        quiet().fit(Agent(), DATA, loader)


def test_a_mistyped_metric_has_a_suggestion():
    """Of the Trainer, and of early stopping."""
    with pytest.raises(InputValueError, match="did you mean 'val_loss'"):
        quiet(monitor="val_los").fit(Agent(), DATA, DATA)
    with pytest.raises(InputValueError, match="did you mean 'val_loss'"):
        quiet(callbacks=[EarlyStopping("val_los")]).fit(Agent(), DATA, DATA)


def test_a_plan_leaves_a_trainer_and_its_run_as_they_were():
    """What stand-ins have brought is in no history, summary, callback or run."""

    class Noting(Callback):
        def __init__(self):
            self.fits = 0

        def on_fit_start(self, trainer, agent):
            self.fits += 1

        def state_dict(self):
            return {"fits": self.fits}

        def load_state_dict(self, state):
            self.fits = state["fits"]

    run = tracking.init("me", "Planned")
    noting, agent = Noting(), Agent()
    trainer = quiet(callbacks=[noting])
    with plan():
        trainer.fit(agent, DATA, DATA)
        trainer.test(agent, DATA)
        assert noting.fits == 1
    assert (trainer.history, trainer.test_looks, noting.fits) == ([], 0, 0)
    assert trainer.last_path is None
    kinds = {event["type"] for event in tracking.read_run(run.path)[1]}
    assert not kinds & {"step", "test", "fit_start", "usage"}
    trainer.fit(agent, DATA, DATA)
    assert [record.kind for record in trainer.history] == ["step", "step", "epoch"]
