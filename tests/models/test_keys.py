"""Keys: what makes two calls the same, and what differs between two that are not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from afnio.models import Request
from afnio.models._keys import canonical, differences, nearest, request_key

USER = ({"role": "user", "content": "Hi"},)


class Answer(BaseModel):
    word: str


def key(identity=None, **fields):
    """Return the key of a request that differs as told."""
    request = Request(**{"messages": USER, **fields})
    return request_key(identity or {"endpoint": "e"}, request)


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "Ho"},)},
        {"args": {"temperature": 0.5}},
        {"args": {"model": "other"}},
        {"sample_index": 1},
        {"kind": "completion"},
        {"identity": {"endpoint": "elsewhere"}},
        {"args": {"response_format": Answer}},
        {"args": {"extra_headers": {"X-Version": "2"}}},
    ],
)
def test_everything_that_can_change_the_answer_changes_the_key(change):
    """Messages, arguments, sample index, kind, endpoint and headers all count."""
    assert key(**change).digest != key().digest


@pytest.mark.parametrize("same", [{"role": "critic"}, {"args": {"timeout": 3}}])
def test_what_cannot_change_the_answer_is_left_out(same):
    """Who asks and how long they wait does not matter."""
    assert key(**same).digest == key().digest


def test_header_values_never_stand_in_the_document():
    """A header that holds a credential is in the key as a digest only."""
    headers = {"Authorization": "Bearer sk-very-secret"}
    assert "sk-very-secret" not in key(args={"extra_headers": headers}).document


def test_argument_without_a_canonical_form_has_no_key():
    """A call with an arbitrary object is never shared."""
    assert key(args={"thing": object()}) is None


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=5))
def test_order_of_arguments_does_not_matter(args):
    """Two orders of the same arguments have one key."""
    backwards = dict(reversed(list(args.items())))
    assert canonical(args) == canonical(backwards)


def test_values_beyond_json_have_a_form():
    """Tuples, sets, decimals and pydantic objects can be arguments."""
    value = {"a": (1, 2), "b": {"y", "x"}, "c": Decimal("1.5"), "d": Answer(word="w")}
    assert (
        canonical(value)
        == '{"a":[1,2],"b":["\\"x\\"","\\"y\\""],"c":"1.5","d":{"word":"w"}}'
    )


def test_differences_name_the_field_and_both_values():
    """A difference says where it is, what was asked and what is on record."""
    one = key(args={"temperature": 0.5}).document
    two = key(args={"temperature": 0.7}).document
    assert differences(one, two) == ["args.temperature: 0.5 instead of 0.7"]


def test_nearest_prefers_fewest_differences_then_likest_text():
    """Of three entries the one with the likest message is nearest."""

    def document(text, **args):
        return key(messages=({"role": "user", "content": text},), args=args).document

    others = [document("Zebra"), document("Hello worle"), document("Hello", seed=1)]
    assert nearest(document("Hello world"), others) == others[1]
