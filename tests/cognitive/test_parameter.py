"""Tests of afnio.cognitive.parameter."""

import copy
import io

import pytest

import afnio
from afnio import Variable, serialization
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.errors import FileFormatError, InputTypeError, InputValueError


def test_defaults():
    """P01: an empty Parameter has no data and no role, and wants to be learned."""
    p = Parameter()
    assert (p.data, p.role, p.requires_grad, p.is_leaf) == (None, None, True, True)


def test_repr():
    """P02: the repr says that it is a Parameter and shows the Variable."""
    expected = "Parameter containing:\n  Variable(data=abc, role=r, requires_grad=True)"
    assert repr(Parameter("abc", "r")) == expected


def test_deepcopy_drops_gradients_and_shares_nothing():
    """P03: a copy has its own data, the same settings, and no gradients."""
    p = Parameter(
        ["a", "b"], "r", requires_grad=False, name="n", constraints=["c"], max_length=9
    )
    p.append_grad(Variable("feedback"))
    twin = copy.deepcopy(p)
    assert type(twin) is Parameter
    assert (twin.data, twin.role, twin.requires_grad) == (["a", "b"], "r", False)
    assert (twin.name, twin.constraints, twin.max_length) == ("n", ("c",), 9)
    assert twin.grad == []
    assert twin.data is not p.data


def test_detach_is_plain():
    """P04: a detached Parameter is a Variable that is not learned."""
    plain = Parameter("x", "r").detach()
    assert type(plain) is Variable
    assert plain.requires_grad is False


def test_no_grad_does_not_freeze_new_parameters():
    """P05: grad mode governs operations, not what a Parameter is."""
    with afnio.no_grad():
        assert Parameter("x").requires_grad is True


@pytest.mark.parametrize(
    ("param", "label"),
    [
        (Parameter("x", "the role", name="n"), "the role"),
        (Parameter("x", name="n"), "n"),
        (Parameter("x"), "parameter"),
    ],
)
def test_label_is_the_role_or_else_the_name(param, label):
    """Prompts call a Parameter by its role, else its name, and never by None."""
    assert param.label == label


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"name": 3}, InputTypeError),
        ({"constraints": "one text"}, InputTypeError),
        ({"constraints": [1]}, InputTypeError),
        ({"max_length": 0}, InputValueError),
        ({"max_length": True}, InputValueError),
    ],
)
def test_settings_are_checked(kwargs, error):
    """A wrong name, constraint or limit is refused when the Parameter is made."""
    with pytest.raises(error):
        Parameter("x", **kwargs)


@pytest.mark.parametrize(
    "param",
    [
        Parameter("x", "r", name="n", constraints=["short"], max_length=5),
        Parameter(),
        Demonstrations([["a", "b", "c"]], fields=("q", "hint"), max_demos=3, name="d"),
    ],
)
def test_files_keep_everything(param):
    """A saved Parameter loads as the same type with the same settings and gradients."""
    param.requires_grad = False
    param.grad = [Variable("feedback", "feedback to r")]
    file = io.BytesIO()
    serialization.save({"p": param}, file)
    loaded = serialization.load(io.BytesIO(file.getvalue()))["p"]
    assert type(loaded) is type(param)
    names = {
        name
        for name in (*Parameter.__slots__, *Demonstrations.__slots__)
        if hasattr(param, name)
    }
    for name in ("data", "role", "requires_grad", *names):
        assert getattr(loaded, name) == getattr(param, name), name
    assert [g.data for g in loaded.grad] == ["feedback"]


def test_damaged_files_are_refused():
    """A file in which a flag is no bool is reported as damaged."""
    from afnio.cognitive import parameter

    state = parameter._to_state(Parameter("x")) | {"requires_grad": "yes"}
    with pytest.raises(InputTypeError):
        parameter._from_state(state)
    with pytest.raises(FileFormatError):
        serialization.load(io.BytesIO(b"no file of ours"))


# -- demonstrations -------------------------------------------------------------------


def test_rows_are_copies():
    """Changing what rows() returns changes nothing."""
    demos = Demonstrations([["Hi", "greeting"]])
    demos.rows()[0][0] = "changed"
    assert demos.rows() == [["Hi", "greeting"]]


def test_row_orders_the_fields():
    """A row holds the texts in the order of the fields, the output last."""
    demos = Demonstrations(fields=("question", "hint"))
    row = demos.row({"hint": "h", "question": "q", "more": "x"}, "answer")
    assert row == ["q", "h", "answer"]
    with pytest.raises(InputValueError, match="hint"):
        demos.row({"question": "q"}, "answer")


@pytest.mark.parametrize("rows", [[["a", "b"], ["only"]], [["a", "b"], ["a", 1]]])
def test_bad_rows_are_named(rows):
    """A row that does not fit is named, at the start and on assignment."""
    with pytest.raises(InputValueError, match="row 1"):
        Demonstrations(rows)
    demos = Demonstrations([["a", "b"]])
    with pytest.raises(InputValueError, match="row 1"):
        demos.data = rows
    assert demos.rows() == [["a", "b"]]


@pytest.mark.parametrize("data", ["text", 3, {"a": 1}])
def test_only_rows_are_taken(data):
    """Anything but a list of rows is refused."""
    with pytest.raises(InputValueError):
        Demonstrations(data)


def test_max_demos_is_kept():
    """More rows than max_demos are refused."""
    demos = Demonstrations(max_demos=1)
    with pytest.raises(InputValueError, match="max_demos=1"):
        demos.data = [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("fields", ["message", (), ("a", "a"), ("no name",), (1,)])
def test_fields_are_placeholder_names(fields):
    """Fields must be different identifiers."""
    with pytest.raises(InputValueError):
        Demonstrations(fields=fields)


def test_none_means_no_rows():
    """None stands for an empty set of demonstrations."""
    demos = Demonstrations([["a", "b"]])
    demos.data = None
    assert demos.data == []
    assert Demonstrations().rows() == []


def test_deepcopy_of_demonstrations():
    """A copy keeps fields and limit, and still checks its rows."""
    twin = copy.deepcopy(Demonstrations([["a", "b"]], max_demos=2))
    assert (twin.rows(), twin.fields, twin.max_demos) == ([["a", "b"]], ("message",), 2)
    with pytest.raises(InputValueError):
        twin.data = [["a"]]
