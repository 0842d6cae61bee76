"""United changes: what several versions change, in one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio.optim._union import count_units, shortened, united

BASE = "Head.\n- For a, x.\n- For b, y."
TEXTS = st.text(alphabet="ab.! \n\r\t{}", max_size=40)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([f"{BASE}\n- c.", f"{BASE}\n- d."], f"{BASE}\n- c.\n- d."),
        ([f"{BASE}\n- c.\n- d.", f"{BASE}\n- d.\n- e."], f"{BASE}\n- c.\n- d.\n- e."),
        (["Head.\n- For a, x.", f"{BASE}\n- c."], "Head.\n- For a, x.\n- c."),
        (
            ["Head.\n- For a, z.\n- For b, y.", "Head.\n- For a, q.\n- For b, v."],
            "Head.\n- For a, z.\n- For b, y.",
        ),
        (
            ["Head. More.\n- For a, x.\n- For b, y.", BASE],
            "Head. More.\n- For a, x.\n- For b, y.",
        ),
        (
            [f"{BASE}\n```\n{{}}\n```", f"{BASE}\n```\nx\n```"],
            f"{BASE}\n```\n{{}}\n```\n```\nx\n```",
        ),
        ([f"{BASE}\n<a>\nc\n</a>"] * 2, f"{BASE}\n<a>\nc\n</a>"),
        ([], BASE),
    ],
)
def test_changes_go_together_as_far_as_they_can(versions, expected):
    """Insertions add up, each once; of clashing changes the first is made."""
    assert united(BASE, versions) == expected


@given(TEXTS)
def test_nothing_to_unite_changes_nothing(text):
    """Every character stays, and uniting with itself is no change."""
    assert united(text, []) == text
    assert united(text, [text, text]) == text


@given(TEXTS, TEXTS)
def test_one_version_is_reached_but_for_white_space(base, version):
    """The words of the result are those of the version."""
    found = united(base, [version])
    extra = [word for word in found.split() if word not in version.split()]
    assert not extra


def test_long_texts_are_compared_in_full():
    """Lines that occur often are not taken for noise."""
    base = "\n".join(["same"] * 300)
    assert united(base, [f"{base}\nc", f"d\n{base}"]) == f"d\n{base}\nc"


@given(TEXTS)
def test_what_is_shortened_lacks_something(text):
    """A sentence is gone, and only that."""
    size = count_units(text)
    for place in range(size if size > 1 else 0):
        found = shortened(text, place)
        assert found.strip()
        assert len("".join(found.split())) < len("".join(text.split()))


def test_hostile_texts_take_no_time():
    """A hundred thousand characters of the same sentence, in several versions."""
    base = "a. " * 30_000 + "\n" + "b.\n" * 5_000
    versions = [f"c. {base}", f"{base}d.", base.replace("\n", "\nx.\n", 1)]
    found = united(base, versions)
    assert {"c.", "d.", "x."} <= set(found.split())
    mixed = " ".join(f"w{n % 7}." for n in range(3_000))
    assert united(mixed, [" ".join(f"w{n % 5}." for n in range(3_000))])
