"""The fit loop: order, records, limits, retries, several optimizers."""

from __future__ import annotations

import pytest
from trainer_helpers import Agent, Gated, Growing, batch, quiet

from afnio import Variable, tracking
from afnio.autodiff.credit import get_credit_mode
from afnio.cognitive import functional as F
from afnio.errors import BudgetError, InputValueError, RateLimitError
from afnio.models.testing import ScriptedModel
from afnio.trainer import Callback

DATA = [batch("1", "2"), batch("3")]


class Logged(Growing):
    """Notes what happens, in a list that tests can see."""


def logged_agent(log, **options):
    """Return an agent whose optimizer and steps write to ``log``."""
    agent = Agent(lambda params: Logged(params, log=log, **options))
    step = agent.training_step

    def training_step(batch, batch_idx):
        log.append("training_step")
        return step(batch, batch_idx)

    agent.training_step = training_step
    return agent


class Asking(Agent):
    """Asks a model once per training batch."""

    def __init__(self, model, make_optimizer=Growing):
        super().__init__(make_optimizer)
        self.model = model

    def training_step(self, batch, batch_idx):
        self.model.chat([{"role": "user", "content": f"{batch_idx}"}])
        return super().training_step(batch, batch_idx)


class TestSteps:
    def test_order(self):
        """clear_grad, training_step, backward, step (TR12)."""
        log = []

        class Noting(Callback):
            def on_before_backward(self, trainer, agent, loss):
                log.append("before backward")

            def on_after_backward(self, trainer, agent):
                log.append(f"{len(agent.word.grad)} gradients")

        quiet(callbacks=[Noting()]).fit(logged_agent(log), [DATA[0]])
        assert log == [
            "clear_grad",
            "training_step",
            "before backward",
            "1 gradients",
            "step",
        ]

    def test_accumulation_makes_one_step_of_several_batches(self):
        """Gradients of a window add up, and a window that is not full counts too."""
        log, seen = [], []

        class Noting(Callback):
            def on_before_optimizer_step(self, trainer, agent, optimizer):
                seen.append(len(agent.word.grad))

        trainer = quiet(accumulate_grad_batches=2, callbacks=[Noting()])
        trainer.fit(logged_agent(log), [*DATA, DATA[0]])
        one = ["clear_grad", "training_step"]
        assert log == [*one, "training_step", "step", *one, "step"]
        assert seen == [2, 1]
        assert [r.batch for r in trainer.history if r.kind == "step"] == [1, 2]
        assert trainer.global_step == 2

    def test_skipped_batches_make_no_step(self):
        """A training step may return None (TR07)."""
        log = []
        agent = Agent(lambda params: Growing(params, log=log))
        agent.training_step = lambda batch, batch_idx: None
        trainer = quiet(max_epochs=2)
        with pytest.warns(RuntimeWarning, match="returned None for every") as warned:
            trainer.fit(agent, DATA)
        assert len(warned) == len(trainer.warnings) == 1
        assert "step" not in log
        assert trainer.global_step == 0

    def test_no_optimizer(self):
        """It may be meant so, but is worth a word."""
        agent = Agent(lambda params: None)
        with pytest.warns(RuntimeWarning, match="returned no optimizer"):
            quiet().fit(agent, DATA)

    def test_several_optimizers(self):
        """Each of a list clears and steps."""
        log = []

        class Two(Agent):
            def __init__(self):
                super().__init__()
                self.other = type(self.word)("x", role="other", requires_grad=True)

            def configure_optimizers(self):
                params = ([self.word], [self.other])
                return [Growing(group, log=log) for group in params]

        agent = Two()
        quiet().fit(agent, [DATA[0]])
        assert log == ["clear_grad", "clear_grad", "step", "step"]
        assert len(agent.optimizers()) == 2

    def test_manual_optimization(self):
        """With automatic_optimization off, training_step does it all."""
        log = []

        class Manual(Agent):
            def __init__(self):
                super().__init__(lambda params: Growing(params, log=log))
                self.automatic_optimization = False

            def training_step(self, batch, batch_idx):
                optimizer = self.optimizers()
                optimizer.clear_grad()
                output = self.evaluate(batch)
                output["loss"][1].backward()
                optimizer.step()
                return output

        trainer = quiet()
        agent = Manual()
        trainer.fit(agent, DATA)
        assert log == ["clear_grad", "step"] * 2
        assert trainer.global_step == 2
        assert agent.word.data == "bad"

    @pytest.mark.parametrize(
        ("wishes", "mode"),
        [
            (["passthrough"], "passthrough"),
            (["passthrough", "critic"], "critic"),
            ([None], "critic"),
        ],
    )
    def test_optimizers_can_do_without_critics(self, wishes, mode):
        """If all of them read the evidence themselves, no critic is asked."""
        seen = []

        class Watched(Agent):
            def configure_optimizers(self):
                self.word.register_hook(lambda gradient: seen.append(get_credit_mode()))
                params = [self.word, *(Variable("x", "", True) for _ in wishes[1:])]
                made = [Growing([param]) for param in params]
                for optimizer, wish in zip(made, wishes, strict=True):
                    optimizer.credit_mode = wish
                return made

        quiet().fit(Watched(), [DATA[0]])
        assert seen == [mode]

    def test_an_optimizer_must_be_one(self):
        """Anything else is named."""
        agent = Agent(lambda params: 3)
        with pytest.raises(TypeError, match=r"configure_optimizers.*int"):
            quiet().fit(agent, DATA)

    def test_an_optimizer_with_a_plain_step(self):
        """A user's own optimizer may define step only, and need no base class."""

        class Plain:
            def __init__(self, params):
                self.params = list(params)

            def clear_grad(self):
                for param in self.params:
                    param.grad.clear()

            def step(self):
                self.params[0].data = "good"

            def state_dict(self):
                return {}

        agent = Agent(Plain)
        quiet().fit(agent, DATA)
        assert agent.word.data == "good"


class TestClosures:
    def test_candidates_are_scored_on_the_whole_validation_set(self):
        """The closure evaluates current data, in eval mode, without gradients."""
        made = []

        def make(params):
            made.append(Gated(params))
            return made[0]

        agent = Agent(make)
        quiet().fit(agent, [DATA[0]], DATA)
        assert made[0].results == [[0.0, 3.0]]
        assert agent.word.data == "good"
        assert agent.word.grad
        vals = [entry for entry in agent.seen if entry[0] == "val"]
        assert vals == [("val", 0, False), ("val", 1, False)] * 3

    def test_without_validation_it_is_refused_before_anything_is_paid(self):
        """Gated optimizers need evidence."""
        agent = Agent(Gated)
        with pytest.raises(ValueError, match="val_dataloader"):
            quiet().fit(agent, DATA)
        assert agent.seen == []

    def test_validation_batches_are_read_once(self):
        """A one-shot loader serves every epoch and every closure alike."""
        agent = Agent(Gated)
        trainer = quiet(max_epochs=2)
        trainer.fit(agent, [DATA[0]], iter(DATA))
        epochs = [r for r in trainer.history if r.kind == "epoch"]
        assert [r.metrics["val_accuracy"] for r in epochs] == [1.0, 1.0]

    def test_async_validation_steps(self):
        """A closure can run coroutines too."""

        class Async(Agent):
            async def validation_step(self, batch, batch_idx):
                text, target = batch
                return {"loss": F.exact_match_evaluator(await self.acall(text), target)}

        agent = Async(Gated)
        quiet().fit(agent, [DATA[0]], DATA)
        assert agent.word.data == "good"

    def test_decisions_reach_the_run(self):
        """Every record of an optimizer becomes an event."""

        class Deciding(Growing):
            async def _astep(self, closure=None):
                for listener in self.on_record:
                    listener(self)

            def to_dict(self):
                return {"accepted": True}

        run = tracking.init("me", "P")
        quiet().fit(Agent(Deciding), [DATA[0]])
        run.finish()
        _, events = tracking.read_run(run.path)
        assert [e["accepted"] for e in events if e["type"] == "decision"] == [True]


class TestMetrics:
    def test_history_and_logs(self):
        """Metrics are recorded per step and per epoch, and logged per epoch (TR05)."""
        run = tracking.init("me", "P")
        trainer = quiet(max_epochs=2)
        trainer.fit(Agent(), DATA, [DATA[1]])
        run.finish()
        steps = [r for r in trainer.history if r.kind == "step"]
        assert [(r.epoch, r.batch, r.step, r.samples) for r in steps] == [
            (1, 0, 1, 2),
            (1, 1, 2, 1),
            (2, 0, 3, 2),
            (2, 1, 4, 1),
        ]
        _, events = tracking.read_run(run.path)
        metrics = [(e["name"], e["step"]) for e in events if e["type"] == "metric"]
        names = [
            "train_loss",
            "train_accuracy",
            "val_loss",
            "val_accuracy",
            "total_cost($)",
        ]
        assert metrics == [(name, epoch) for epoch in (1, 2) for name in names]
        first = next(r for r in trainer.history if r.kind == "epoch")
        assert first.metrics["train_accuracy"] == pytest.approx(1 / 3)
        assert trainer.logged_metrics["train_accuracy"] == 0.0

    def test_it_works_without_a_run(self):
        """No active run, no error (TR17)."""
        trainer = quiet()
        trainer.fit(Agent(), DATA)
        assert trainer.logged_metrics["total_cost($)"] == 0.0

    def test_a_broken_run_warns_once_and_training_goes_on(self):
        """A logger that fails never stops training."""
        run = tracking.init("me", "P")
        (run.path / "events.jsonl").mkdir()
        trainer = quiet()
        with pytest.warns(RuntimeWarning, match="training goes on") as warned:
            trainer.fit(Agent(), DATA)
        assert len(warned) == 1
        assert trainer.global_step == 2
        (run.path / "events.jsonl").rmdir()

    def test_cost_is_read_by_difference(self):
        """Costs of the given clients are added up; their counters stay (TR14)."""
        model = ScriptedModel("x")
        model.set_price("scripted", input=1e6, output=0)
        agent = Asking(model)
        model.chat([{"role": "user", "content": "before"}])
        before = model.get_usage()["cost"]["amount"]
        trainer = quiet()
        trainer.fit(agent, DATA, llm_clients=[model])
        after = model.get_usage()["cost"]["amount"]
        assert trainer.total_cost == pytest.approx(after - before)
        assert after > before > 0

    def test_a_monitor_that_is_not_there_is_named(self):
        """A typing mistake does not silently keep no best checkpoint."""
        with pytest.raises(ValueError, match="val_acc"):
            quiet(monitor="val_acc").fit(Agent(), DATA, DATA)


class TestLimits:
    def test_steps(self):
        """max_steps ends a fit in the middle of an epoch."""
        trainer = quiet(max_epochs=9, max_steps=3)
        trainer.fit(Agent(), DATA)
        assert trainer.global_step == 3
        assert "max_steps=3" in trainer.stop_reason
        assert trainer.best_path.exists()

    def test_seconds(self):
        """max_time is looked at between steps."""
        trainer = quiet(max_epochs=9, max_time=10)
        now = iter(range(0, 100, 4))
        trainer.clock = lambda: next(now)
        trainer.fit(Agent(), DATA)
        assert 0 < trainer.global_step < 4
        assert "max_time=10" in trainer.stop_reason

    def test_calls_are_never_exceeded(self):
        """The third call is refused; what was done is kept."""
        model = ScriptedModel("x")
        trainer = quiet(max_epochs=9, max_calls=2)
        trainer.fit(Asking(model), [*DATA, batch("4")])
        assert len(model.requests) == 2
        assert trainer.global_step == 2
        assert "calls" in trainer.stop_reason
        assert trainer.last_path.exists()

    def test_a_budget_that_cannot_pay_one_step_is_an_error(self):
        """Nothing was trained, so there is nothing to return."""
        model = ScriptedModel("x")
        model.set_price("scripted", input=1e6, output=1e6)
        with pytest.raises(BudgetError):
            quiet(max_cost=0.5).fit(Asking(model), DATA)
        assert model.requests == []

    def test_a_callback_can_stop(self):
        """stop() ends the fit before the next step, and says why."""

        class Stopping(Callback):
            def on_train_batch_end(self, trainer, agent, outputs, batch, batch_idx):
                trainer.stop("enough")

        trainer = quiet(max_epochs=3, callbacks=[Stopping()])
        trainer.fit(Agent(), DATA)
        assert (trainer.global_step, trainer.stop_reason) == (1, "enough")

    def test_a_hook_can_cut_an_epoch(self):
        """on_train_batch_start returning -1 leaves out the rest, and validates."""

        class Cutting(Agent):
            def on_train_batch_start(self, batch, batch_idx):
                return -1 if batch_idx else None

        trainer = quiet(max_epochs=2)
        trainer.fit(Cutting(), DATA, DATA)
        kinds = [record.kind for record in trainer.history]
        assert kinds == ["step", "epoch"] * 2

    def test_no_epochs(self):
        """0 epochs configure, and do nothing else."""
        trainer = quiet(max_epochs=0)
        trainer.fit(Agent(), DATA)
        assert trainer.history == []
        assert trainer.last_path is None


def flaky(failures):
    """Return a model that fails ``failures`` times before it answers."""
    left = [failures]

    def answer(messages, **_args):
        left[0] -= 1
        if left[0] >= 0:
            raise RateLimitError("slow down")
        return "x"

    model = ScriptedModel(answer)
    model._retry = type(model._retry)(max_retries=0, throttle_retries=0)
    return model


class TestFailures:
    def test_by_default_nothing_is_repeated(self):
        """The call path retries calls; the Trainer does not multiply that (TR09)."""
        model = flaky(1)
        with pytest.raises(RuntimeError, match="slow down"):
            quiet().fit(Asking(model), DATA)
        assert len(model.requests) == 1

    def test_retries_repeat_what_failed(self):
        """A failed forward is repeated; the batches after it are not affected."""
        model = flaky(2)
        trainer = quiet(max_retries=2)
        trainer.fit(Asking(model), DATA)
        assert trainer.global_step == 2
        assert len(model.requests) == 4

    def test_retries_run_out(self):
        """Then the error itself is raised."""
        model = flaky(9)
        with pytest.raises(RateLimitError):
            quiet(max_retries=2).fit(Asking(model), DATA)
        assert len(model.requests) == 3

    def test_programming_errors_are_not_repeated(self):
        """A ValueError in a step is a bug, raised as it is."""
        calls = []
        agent = Agent()

        def training_step(batch, batch_idx):
            calls.append(batch_idx)
            raise ValueError("my bug")

        agent.training_step = training_step
        with pytest.raises(ValueError, match="my bug"):
            quiet(max_retries=3).fit(agent, DATA)
        assert calls == [0]

    def test_a_failed_step_leaves_parameters_and_checkpoint_of_the_one_before(self):
        """What is on disk and in the agent is the last finished step."""

        class Failing(Growing):
            async def _astep(self, closure=None):
                if self.log.count("step") == 1:
                    raise ValueError("second step")
                await super()._astep(closure)

        agent = Agent(Failing)
        trainer = quiet()
        with pytest.raises(ValueError, match="second step"):
            trainer.fit(agent, DATA)
        assert agent.word.data == "good"
        assert trainer.last_path.exists()
        assert agent.training
        assert [r.kind for r in trainer.history] == ["step"]

    def test_a_result_that_fails_later_fails_the_step(self):
        """A pending score that cannot be computed is raised where it belongs."""

        def broken(prediction, target):
            raise KeyError("scoring bug")

        class Pending(Agent):
            def training_step(self, batch, batch_idx):
                text, target = batch
                return F.deterministic_evaluator(self(text), target, broken, "scores")

        with pytest.raises(KeyError, match="scoring bug"):
            quiet().fit(Pending(), DATA)


def test_any_iterable_is_a_loader():
    """A loader needs no length, only to be readable once per epoch (TR10)."""

    class Stream:
        def __iter__(self):
            yield from DATA

    trainer = quiet(max_epochs=2)
    trainer.fit(Agent(), Stream(), Stream())
    assert trainer.global_step == 4


def test_a_seed_repeats_global_random_numbers():
    """The same seed gives the same fit."""
    words = []
    for _ in range(2):
        agent = Agent(lambda params: Growing(params, use_rng=True))
        quiet(seed=7, max_epochs=2).fit(agent, DATA)
        words.append(agent.word.data)
    assert words[0] == words[1]


def test_modes_come_back():
    """A frozen child stays in eval mode after a fit."""
    agent = Agent()
    agent.child = Agent().eval()
    quiet().fit(agent, DATA, DATA)
    assert (agent.training, agent.child.training) == (True, False)
    assert ("train", 0, True) in agent.seen
    assert ("val", 0, False) in agent.seen


def test_scores_of_the_validation_may_be_variables():
    """Extra metrics may be Variables, also pending ones."""

    class More(Agent):
        def validation_step(self, batch, batch_idx):
            return {**self.evaluate(batch), "length": Variable(2.5)}

    trainer = quiet()
    trainer.fit(More(), DATA, DATA)
    assert trainer.logged_metrics["val_length"] == 2.5


class TestMinimum:
    """``min_epochs`` and ``min_steps``: a wish to stop waits, a limit does not."""

    def fit(self, at=1, **options):
        """Fit while a callback wishes to stop after so many epochs."""

        class Wishing(Callback):
            def on_train_epoch_end(self, trainer, agent):
                if trainer.current_epoch == at:
                    trainer.stop("enough")

        trainer = quiet(callbacks=[Wishing()], **{"max_epochs": 6, **options})
        trainer.fit(Agent(), DATA, DATA)
        return trainer

    @pytest.mark.parametrize(
        ("options", "steps"),
        [
            ({}, 2),
            ({"min_epochs": 3}, 6),
            ({"min_epochs": 1}, 2),
            ({"min_steps": 5}, 5),
            ({"min_steps": 3, "min_epochs": 2}, 4),
            ({"min_epochs": 0, "min_steps": 0}, 2),
        ],
        ids=str,
    )
    def test_a_wish_waits(self, options, steps):
        """The fit ends as soon as both are reached, for the reason it was given."""
        trainer = self.fit(**options)
        assert (trainer.global_step, trainer.stop_reason) == (steps, "enough")

    def test_a_limit_does_not_wait(self):
        """And is then the reason."""
        trainer = self.fit(min_epochs=4, max_steps=3)
        assert trainer.global_step == 3
        assert trainer.stop_reason == "max_steps=3 is reached"

    def test_it_holds_for_a_resumed_fit(self, tmp_path):
        """A wish that was saved waits as well."""
        first = self.fit(min_epochs=4, max_steps=4, default_root_dir=tmp_path)
        second = quiet(max_epochs=6, min_epochs=4, default_root_dir=tmp_path)
        second.fit(Agent(), DATA, DATA, ckpt_path=first.last_path)
        assert second.global_step >= 8

    @pytest.mark.parametrize(
        "options",
        [
            {"min_epochs": 7},
            {"min_epochs": 11, "max_epochs": None},
            {"min_steps": 3, "max_steps": 2},
            {"min_epochs": -1},
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused(self, options):
        """No fit could reach it."""
        with pytest.raises(InputValueError, match="min_"):
            quiet(**{"max_epochs": 6, **options})
