"""The report on hostile texts."""

from __future__ import annotations

import random

from benchmarks.text_safety import Case, main


def test_no_hostile_text_does_harm(capsys):
    """A hundred steps of each kind: installed as meant, or refused."""
    assert main(["--cases", "100", "--seed", "7"]) == 0
    shown = capsys.readouterr().out
    assert "refused, unchanged" in shown
    assert "installed, letter for letter" in shown


def test_what_is_not_as_meant_counts_as_a_fault():
    """Placeholders that are gone, and texts that nobody proposed."""
    for kind in ("rewrite", "edit"):
        case = Case(random.Random(1), kind)
        assert case._verdict("Answer.") == "FAULT: placeholders differ"
        other = f"Something else. {case.current}"
        assert case._verdict(other) == "FAULT: something else is installed"
