"""Tests of afnio.autodiff.stop_reasons; M01 to M11 are rows of the documented API."""

import pytest

from afnio.autodiff.stop_reasons import (
    BoolMask,
    StopReason,
    StopReasonView,
    last_stop_reason,
)


def test_a_mask_has_no_truth_of_its_own():
    """M01: bool(mask) raises and says what to use."""
    with pytest.raises(ValueError, match=r"any\(\)"):
        bool(BoolMask([1]))


@pytest.mark.parametrize("sign", ["__and__", "__or__", "__xor__"])
def test_masks_of_other_lengths_do_not_combine(sign):
    """M02: the message names both lengths."""
    with pytest.raises(ValueError, match="1 and 2"):
        getattr(BoolMask([1]), sign)(BoolMask([1, 0]))


def test_only_masks_combine():
    """M03: a list is no mask."""
    with pytest.raises(TypeError, match="another BoolMask"):
        BoolMask([1]) & [True]


def test_empty_masks():
    """M04: all() of nothing is True, any() is False."""
    assert BoolMask([]).all() is True
    assert BoolMask([]).any() is False


def test_operators():
    """M05 and its siblings, item by item."""
    a, b = BoolMask([1, 0, 1]), BoolMask([1, 1, 0])
    assert (a ^ b) == BoolMask([False, True, True])
    assert (a & b) == BoolMask([True, False, False])
    assert (a | b) == BoolMask([True, True, True])
    assert ~a == BoolMask([False, True, False])
    assert (len(a), a[1], list(a)) == (3, False, [True, False, True])
    assert repr(a) == "BoolMask([True, False, True])"
    assert a != [True, False, True]
    with pytest.raises(TypeError):
        hash(a)


def test_a_view_compares_item_by_item():
    """M06: == and != with a text give masks."""
    view = StopReasonView(["end_turn", None])
    assert (view != "end_turn") == BoolMask([False, True])
    assert (view == StopReason.END_TURN) == BoolMask([True, False])
    assert (list(view), len(view), view[0]) == (["end_turn", None], 2, "end_turn")
    assert repr(view) == "StopReasonView(['end_turn', None])"
    with pytest.raises(TypeError):
        hash(view)


def test_last_stop_reason():
    """M07: only an assistant turn at the very end has one."""
    threads = [
        [],
        [{"role": "user"}],
        [{"role": "assistant", "_stop_reason": "tool_use"}],
        [{"role": "assistant"}],
    ]
    assert last_stop_reason(threads).reasons == (None, None, "tool_use", None)


def test_stop_reasons_are_texts():
    """M10: members equal their words and can be found by them."""
    assert StopReason.END_TURN == "end_turn"
    assert StopReason("pause") is StopReason.PAUSE
    assert str(StopReason.END_TURN) == "StopReason.END_TURN"
