"""Checkpoints that were edited: refused by name, before anything is taken over."""

from contextlib import suppress
from pathlib import Path

import pytest
from trainer_helpers import Agent, batch, quiet

import afnio
from afnio.errors import AfnioError, FileFormatError
from afnio.evaluation import evaluate

DATA = [batch("1"), batch("2")]


@pytest.fixture
def written(tmp_path):
    """Return a checkpoint, and what it holds."""
    quiet(max_epochs=1, default_root_dir=tmp_path).fit(Agent(), DATA, DATA[:1])
    file = tmp_path / "checkpoints" / "last.json"
    return file, afnio.load(file)


def resumed(file: Path):
    """Go on from a checkpoint."""
    trainer = quiet(max_epochs=2, default_root_dir=file.parent / "again")
    trainer.fit(Agent(), DATA, DATA[:1], ckpt_path=file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", -1),
        ("batch", "x"),
        ("trainer", []),
        ("agent_state_dict", None),
        ("trainer.step", None),
        ("trainer.began", None),
        ("trainer.random", [3, "AAA=", None]),
        ("trainer.is_cut", "no"),
        ("trainer.history", [{}]),
        ("trainer.stop_reason", 5),
        ("trainer.seconds", float("nan")),
        ("trainer.spend", {}),
        ("trainer.meter", {"samples": 1}),
    ],
)
def test_the_field_and_the_file_are_named(written, field, value):
    """Whatever is wrong with it."""
    file, data = written
    outer, _, inner = field.partition(".")
    target = data[outer] if inner else data
    target[inner or outer] = value
    afnio.save(data, file)
    with pytest.raises(FileFormatError) as caught:
        resumed(file)
    assert str(file) in str(caught.value)
    assert field in str(caught.value)


LEFT_OUT = object()


def test_no_field_of_the_trainer_fails_with_a_raw_error(written):
    """Left out, or of another kind: refused, or of no consequence."""
    file, data = written
    for name in data["trainer"]:
        for value in (LEFT_OUT, None, "x", -1, [], {}):
            trainer = {**data["trainer"], name: value}
            kept = {key: item for key, item in trainer.items() if item is not LEFT_OUT}
            afnio.save({**data, "trainer": kept}, file)
            with suppress(AfnioError):
                resumed(file)


def test_all_wrong_fields_are_named_at_once(written):
    """One look is enough to repair it."""
    file, data = written
    data["trainer"] |= {"step": -1, "fetched": 1.5}
    afnio.save(data, file)
    with pytest.raises(FileFormatError, match=r"trainer\.step is -1.*trainer\.fetched"):
        resumed(file)


def test_what_an_optimizer_cannot_read_is_named(written):
    """Its own state is checked by nobody else; the error in it is the cause."""
    file, data = written
    data["optimizer_state_dict"]["param_groups"] = 5
    afnio.save(data, file)
    with pytest.raises(FileFormatError, match="optimizer_state_dict") as caught:
        resumed(file)
    assert "param_groups that cannot be read (TypeError" in str(caught.value)


def test_another_file_of_afnio_is_named(tmp_path):
    """An evaluation is JSON of afnio's too, and no checkpoint."""
    file = tmp_path / "main.json"
    evaluate(str.upper, [("a", "A")]).save(file)
    with pytest.raises(FileFormatError, match=r"its format is 'afnio\.evaluation'"):
        resumed(file)
