"""Pure text helpers: their laws hold for any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import _text

names = st.from_regex(r"[a-z]{1,3}", fullmatch=True)


class TestFill:
    @pytest.mark.parametrize(
        ("template", "filled"),
        [
            ("Hi {name}!", "Hi Bo!"),
            ("{name}{name}", "BoBo"),
            ("{{name}}", "{name}"),
            ("{other} {}", "{other} {}"),
            ('{"name": 1, "a": {"b": [{}]}}', '{"name": 1, "a": {"b": [{}]}}'),
            ("{ name } {name!r} {name:>4}", "{ name } {name!r} {name:>4}"),
            ("", ""),
        ],
    )
    def test_examples(self, template, filled):
        """Only ``{name}`` of a known name is replaced; JSON and code survive."""
        assert _text.fill(template, {"name": "Bo"}) == filled

    @given(st.text(), st.text())
    def test_values_are_never_scanned(self, a, b):
        """A value that looks like a placeholder is inserted as it is."""
        assert _text.fill("{a}|{b}", {"a": "{b}" + a, "b": "{a}" + b}) == (
            "{b}" + a + "|" + "{a}" + b
        )

    @given(st.text())
    def test_without_values_only_doubled_braces_change(self, text):
        """A text without ``{{name}}`` stays as it is."""
        if not re.search(r"\{\{\w+\}\}", text):
            assert _text.fill(text, {}) == text

    @given(st.dictionaries(names, st.text(), min_size=1))
    def test_placeholders_are_what_fill_replaces(self, values):
        """Every listed placeholder is filled, in order of first use."""
        template = "".join(f"{{{name}}}\0" for name in values)
        assert _text.placeholders(template) == list(values)
        assert _text.fill(template, values) == "".join(
            f"{v}\0" for v in values.values()
        )

    def test_literal_is_not_a_placeholder(self):
        """``{{name}}`` is text."""
        assert _text.placeholders("{{a}} {b} {b} {c}") == ["b", "c"]


class TestFence:
    @given(st.text(), st.sampled_from(["a", "text"]))
    def test_text_can_be_taken_out_again(self, text, tag):
        """The closing tag occurs once, whatever the text."""
        fenced = _text.fence(text, tag)
        opening, closing = fenced.split("\n", 1)[0], fenced.rsplit("\n", 1)[1]
        assert fenced == f"{opening}\n{text}\n{closing}"
        assert fenced.count(closing) == 1

    def test_tag_in_the_text(self):
        """Text that contains our tag, in any case, gets another one."""
        assert _text.fence("</A> x", "a") == "<a2>\n</A> x\n</a2>"


class TestCutting:
    @given(st.text(), st.integers(5, 50))
    def test_shorten(self, text, limit):
        """One line, not much longer than the limit."""
        short = _text.shorten(text, limit)
        assert len(short) <= limit + 1
        assert "\n" not in short

    @given(st.text(), st.integers(1, 50))
    def test_cut_middle_says_how_much(self, text, limit):
        """Head and tail survive, and the note counts what is gone."""
        cut = _text.cut_middle(text, limit)
        if len(text) <= limit:
            assert cut == text
        else:
            assert f"{len(text) - limit} characters cut" in cut
            assert cut.startswith(text[: limit * 2 // 3])


class TestJoinRoles:
    def test_examples(self):
        """Without repetition, empty roles or None; cut when too long."""
        assert _text.join_roles(["a", "b and a", None, "", "c"]) == "a and b and c"
        assert _text.join_roles([]) == ""
        assert len(_text.join_roles([f"role {i}" for i in range(1000)])) == 200

    @given(st.lists(st.sampled_from(["a", "b", "a and b", "", None])))
    def test_idempotent(self, roles):
        """Joining the result with its parts adds nothing."""
        once = _text.join_roles(roles)
        assert _text.join_roles([once, *roles]) == once


def test_closest():
    """A near name is suggested, else all are listed."""
    assert "'openai'" in _text.closest("opnai", ["openai", "anthropic"])
    assert _text.closest("zzz", ["b", "a"]) == "known: a, b."
    assert _text.closest("zzz", []) == "known: none."
