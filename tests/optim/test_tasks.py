"""What is known about a parameter: each sample once, whoever criticised it."""

from __future__ import annotations

import pytest

from afnio import Variable
from afnio.autodiff.evidence import Evidence
from afnio.optim._tasks import split_evidence


def said(*records):
    """Return one gradient per record."""
    gradients = [Variable("Be exact.") for _ in records]
    for gradient, record in zip(gradients, records, strict=True):
        gradient.evidence = (record,)
    return gradients


@pytest.mark.parametrize("inputs", [{"x": "a"}, {"x": ["a", {"k": 1}]}])
def test_each_run_counts_once(inputs):
    """Equal values are the same, whatever their types and the order of names."""
    one = Evidence(inputs={**inputs, "y": 1}, output="no", target=1, critique="first")
    same = one.but(inputs={"y": 1.0, **inputs}, target=1.0, critique="more")
    others = [
        one.but(index=1),
        one.but(inputs={**inputs, "y": 2}),
        one.but(output="No"),
        one.but(target=2),
    ]
    right = one.but(success=True)
    failures, successes = split_evidence(said(one, same, *others, right, *others, same))
    assert list(failures) == [one, *others]
    assert successes == (right,)
