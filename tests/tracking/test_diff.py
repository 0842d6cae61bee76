"""Diffs of parameter values."""

from afnio.tracking._diff import MAX_LINES, MAX_WIDTH, cut_lines, diff_lines, row_counts


def test_lines_of_a_text_are_compared():
    """One line changed, its neighbours shown."""
    assert diff_lines("a\nb\nc", "a\nB\nc") == [" a", "-b", "+B", " c"]
    assert diff_lines("same", "same") == []


def test_long_lines_are_compared_by_sentence():
    """A paragraph does not change as a whole."""
    start = f"Read the message, and think about it {'well ' * 12}now. "
    found = diff_lines(f"{start}Answer. Stop.", f"{start}Reply. Stop.")
    assert found == [f" {start.strip()}", "-Answer.", "+Reply.", " Stop."]


def test_changes_far_apart_keep_their_places():
    """Several hunks are told apart."""
    before = [str(number) for number in range(20)]
    after = ["x", *before[1:19], "y"]
    found = diff_lines("\n".join(before), "\n".join(after))
    assert sum(line.startswith("@@") for line in found) == 2


def test_rows_are_added_and_removed():
    """Rows of demonstrations are compared as a whole, repeated ones counted."""
    before = [["cat", "cats"], ["box", "boxes"], ["box", "boxes"]]
    after = [["box", "boxes"], ["a", "b", "long " * 40]]
    found = diff_lines(before, after)
    assert found[:2] == ["-cat -> cats", "-box -> boxes"]
    assert found[2].startswith("+a | b -> long long")
    assert len(found[2]) < 100
    assert row_counts(before, after) == (1, 2)
    assert diff_lines([["a"], ["b"]], [["b"], ["a"]]) == [
        " (the same rows in another order)"
    ]


def test_nothing_becomes_rows():
    """An empty parameter has no rows, and numbers have none ever."""
    assert diff_lines(None, [["x", "y"]]) == ["+x -> y"]
    assert row_counts(None, [["x", "y"]]) == (1, 0)
    assert diff_lines(1, 2) == ["-1", "+2"]
    assert row_counts("a", "b") is None


def test_what_is_cut_is_said():
    """Long lines and long diffs end with what is missing."""
    lines = cut_lines(["+" + "x" * (MAX_WIDTH + 9)] * (MAX_LINES + 5))
    assert lines[0].endswith("x [10 more characters cut]")
    assert lines[-1] == "[5 more lines cut here; to_dict() has them all]"
    assert len(lines) == MAX_LINES + 1
