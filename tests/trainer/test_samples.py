"""Samples are known by their contents."""

from dataclasses import dataclass

import pytest

from afnio import Variable
from afnio.autodiff.evidence import Evidence
from afnio.trainer._samples import SampleScores, sample_keys


def scored(*batches):
    """Return the sorted scores of ``(batch, scores)`` pairs."""
    scores = SampleScores()
    for batch, values in batches:
        scores.add(batch, len(values), values)
    return scores.sorted()


def pairs(*texts):
    """Return a batch of inputs and targets."""
    return Variable(list(texts), role="x"), [text.upper() for text in texts]


def test_order_and_batches_do_not_matter():
    """The same samples pair up, however they were dealt."""
    one = scored((pairs("a", "b"), [1, 2]), (pairs("c"), [3]))
    other = scored((pairs("c", "a"), [3, 1]), (pairs("b"), [2]))
    assert one == other
    assert sorted(one[0]) == [1, 2, 3]


def test_other_samples_are_another_set():
    """One target changed is enough."""
    assert scored((pairs("a"), [1]))[1] != scored(((Variable(["a"]), ["B"]), [1]))[1]


@dataclass
class Email:
    text: str


class Opaque:
    pass


@pytest.mark.parametrize(
    "batch",
    [
        {"x": ["a", "b"], "y": Variable([1, 2])},
        (["a", "b"], (["u", "v"], [True, None])),
        [Email("a"), Email("b")],
        [{"x": Variable("a")}, {"x": ("b", 1.5)}],
        (Variable(["a", "b"]), "the same for all"),
    ],
)
def test_any_batch_of_known_things(batch):
    """Two samples get two names, the same ones each time."""
    one, two = sample_keys(batch, 2)
    assert one != two
    assert sample_keys(batch, 2) == [one, two]


def test_what_has_no_contents_has_no_name():
    """An address is no name: such looks are not paired."""
    assert sample_keys([Opaque()], 1) is None
    assert scored(([Opaque(), Opaque()], [1, 0])) == ((1, 0), "")


def test_samples_without_scores_of_their_own_have_no_name():
    """One score for a batch of two cannot be paired."""
    scores = SampleScores()
    scores.add(pairs("a", "b"), 2, [1])
    scores.add(pairs("c"), 1, [1])
    assert scores.sorted() == ((1, 1), "")


def test_inputs_have_one_form_whatever_their_values():
    """A field that is equal to the target in one row only is no target."""
    scores = SampleScores(outcomes=9)
    texts, targets = ["2024-05-01", "May 2"], ["2024-05-01", "2024-05-02"]
    batch = {"text": texts, "hint": ["a", "b"], "iso": targets}
    evidence = [Evidence(output="o", target=target, score=1.0) for target in targets]
    scores.add(batch, 2, [1.0, 1.0], evidence)
    assert [row["input"] for row in scores.outcomes] == [
        '{"text": "2024-05-01", "hint": "a"}',
        '{"text": "May 2", "hint": "b"}',
    ]
