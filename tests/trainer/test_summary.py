"""What a Trainer knows about its work, in one value."""

from __future__ import annotations

from trainer_helpers import Agent, batch, quiet

import afnio.cognitive as cog
from afnio import Variable, credit_mode, load, tracking
from afnio.cognitive import functional as F
from afnio.models.testing import ScriptedModel
from afnio.optim import FewShot
from afnio.utils.data import DataLoader

DATA = [batch("1", "2"), batch("3")]


class Plural(cog.Module):
    """Answers with the plural if it has an example to follow."""

    def __init__(self):
        super().__init__()

        def answer(messages, **args):
            word = messages[-1]["content"]
            return f"{word}s" if len(messages) > 2 else word

        self.model = ScriptedModel(answer)
        self.demos = cog.Demonstrations(role="examples", fields=("word",))
        self.chat = cog.ChatCompletion(
            self.model,
            [
                {"role": "system", "content": [Variable("Give the plural.")]},
                {"role": "demonstrations", "content": [self.demos]},
                {"role": "user", "content": [Variable("{word}")]},
            ],
        )

    def training_step(self, batch, batch_idx):
        word, target = batch
        return F.exact_match_evaluator(self.chat(inputs={"word": word}), target)

    validation_step = test_step = training_step

    def configure_optimizers(self):
        pool = [["cat", "cats"], ["dog", "dogs"]]
        return FewShot([self.demos], pool=pool, demos=1, candidates=2, rounds=1)


def words(seed=0):
    """Return batches of three, in a new order each time."""
    rows = [(word, f"{word}s") for word in ("hat", "pen", "cup", "map", "car")]
    return DataLoader(rows, batch_size=3, shuffle=True, seed=seed)


def test_a_whole_run():
    """Two looks, paired though shuffled; rows, decisions and calls by role."""
    run = tracking.init("me", "P")
    trainer, agent = quiet(), Plural()
    loader = words()
    with credit_mode("passthrough"):
        trainer.test(agent, loader)
        trainer.fit(agent, words(1), words(2))
        trainer.test(agent, loader)
    found = trainer.summary()
    assert [(look.score, look.step) for look in found.looks] == [(0.0, 0), (1.0, 2)]
    assert (found.difference.mean, found.difference.higher) == (1.0, 5)
    (demos,) = found.parameters
    assert (demos.name, demos.before, demos.rows) == ("demos", [], (1, 0))
    assert sum(each.accepted for each in found.decisions) == 1
    assert found.usage["test"].calls == 10
    assert found.usage["forward"].calls == len(agent.model.requests) - 10
    assert (found.run_path, found.best_path) == (str(run.path), str(trainer.best_path))
    assert "+cat -> cats" in str(found) or "+dog -> dogs" in str(found)


def test_before_is_before_the_first_fit():
    """A second fit of the same agent does not move the beginning."""
    trainer, agent = quiet(), Agent(word="first")
    trainer.fit(agent, DATA)
    trainer.fit(agent, DATA)
    (word,) = trainer.summary().parameters
    assert (word.before, word.after) == ("first", agent.word.data)
    trainer.fit(other := Agent(word="other"), DATA)
    assert trainer.summary().parameters[0].before == "other"
    assert other.word.data == trainer.summary().parameters[0].after


def test_a_resumed_fit_remembers_its_beginning():
    """Values, looks, costs and time of the part before are in the checkpoint."""
    first = quiet(max_steps=1)
    first.test(Agent(word="start"), DATA)
    first.fit(Agent(word="start"), DATA)
    second = quiet()
    second.fit(Agent(word="whatever"), DATA, ckpt_path=first.last_path)
    found = second.summary()
    assert found.parameters[0].before == "start"
    assert len(found.looks) == 1
    assert found.looks[0].scores == (0.0, 0.0, 0.0)
    assert found.steps == 2
    saved = load(first.last_path)["trainer"]["seconds"]
    assert found.seconds["fit"] >= saved > 0


def test_an_idle_trainer():
    """Before anything was done there is nothing to tell."""
    assert str(quiet().summary()) == "The test set was not looked at."


def test_wall_clock_time_by_stage():
    """Seconds of a stage add up."""
    trainer = quiet()
    ticks = iter(range(100))
    trainer.clock = lambda: float(next(ticks))
    trainer.test(Agent(), DATA)
    trainer.test(Agent(), DATA)
    trainer.validate(Agent(), DATA)
    assert trainer.summary().seconds == {"test": 2.0, "validate": 1.0}
