"""Tests of afnio.cognitive.parameter."""

import copy
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afnio
import afnio.cognitive as cog
from afnio import Variable, serialization
from afnio.cognitive.parameter import Demonstrations, Parameter, Version
from afnio.errors import FileFormatError, InputTypeError, InputValueError
from afnio.models.testing import ScriptedModel
from afnio.optim import TGD


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


# -- versions -------------------------------------------------------------------------


def values(param):
    """Return the earlier values."""
    return [version.value for version in param.history]


def test_history_and_rollback():
    """Assignments are remembered; rolling back forgets what came after."""
    p = Parameter("a")
    for text in ("b", "c", "d"):
        p.data = text
    assert values(p) == ["a", "b", "c"]
    p.rollback()
    assert (p.data, values(p)) == ("c", ["a", "b"])
    p.rollback(2)
    assert (p.data, p.history) == ("a", ())
    with pytest.raises(InputValueError, match="cannot go back 1"):
        p.rollback()


def test_trying_and_taking_back_leaves_no_trace():
    """Candidates that are installed for a trial do not enter the history."""
    p = Parameter("a")
    p.data = "b"
    for candidate in ("x", "y", "b"):
        p.data = candidate
    assert values(p) == ["a"]
    p.data = "b"
    assert values(p) == ["a"]


def test_the_first_text_has_no_history():
    """Filling an empty Parameter is no change of mind."""
    p = Parameter()
    p.data = "a"
    assert p.history == ()


def test_history_is_bounded():
    """Only so many values are remembered, the latest."""
    p = Parameter("0")
    for number in range(1, 100):
        p.data = str(number)
    assert values(p) == [str(number) for number in range(79, 99)]


def test_annotate_says_how_a_value_came_about():
    """A version carries the note that was made while it was the present one."""
    p = Parameter("a")
    p.annotate("written by hand")
    p.data = "b"
    p.annotate("TGD", step=3)
    p.data = "c"
    assert [(v.note, v.step) for v in p.history] == [
        ("written by hand", None),
        ("TGD", 3),
    ]
    p.rollback()
    p.data = "d"
    assert p.history[-1] == Version(value="b", note="TGD", step=3)
    with pytest.raises(InputTypeError):
        p.annotate(3)
    with pytest.raises(InputTypeError):
        p.annotate("x", step="3")


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_rollback_takes_a_positive_int(n):
    """Anything else is refused."""
    p = Parameter("a")
    p.data = "b"
    with pytest.raises(InputValueError, match="positive"):
        p.rollback(n)
    assert p.data == "b"


def test_changes_inside_a_list_are_seen():
    """Data that was changed in place is remembered as it was when it was replaced."""
    p = Parameter(["a"])
    p.data.append("b")
    p.data = ["c"]
    assert values(p) == [["a", "b"]]
    p.rollback()
    p.data.append("z")
    p.data = ["c"]
    assert values(p) == [["a", "b", "z"]]


def test_demonstrations_roll_back():
    """Rows have a history too, and a refused assignment leaves none."""
    demos = Demonstrations([["a", "b"]])
    demos.data = [["c", "d"]]
    with pytest.raises(InputValueError):
        demos.data = [["only"]]
    assert values(demos) == [[["a", "b"]]]
    demos.rollback()
    assert demos.rows() == [["a", "b"]]


def test_files_and_state_dicts_keep_versions_copies_do_not():
    """A resumed program can be rolled back; snapshots stay small."""
    agent = cog.ParameterDict({"p": Parameter("a")})
    agent["p"].data = "b"
    agent["p"].annotate("better", 1)
    assert copy.deepcopy(agent["p"]).history == ()
    file = io.BytesIO()
    serialization.save(agent.state_dict(), file)
    other = cog.ParameterDict({"p": Parameter("fresh")})
    other.load_state_dict(serialization.load(io.BytesIO(file.getvalue())))
    p = other["p"]
    assert (p.data, values(p)) == ("b", ["a"])
    p.data = "c"
    assert p.history[-1] == Version(value="b", note="better", step=1)


@pytest.mark.parametrize(
    "rows",
    [
        3,
        [],
        [["a"]],
        [["a", "", None]] * 30,
        [[{}, "", None]],
        [["a", 1, None]],
        [["a", "", "1"]],
    ],
)
def test_damaged_histories_are_refused(rows):
    """A history of the wrong form is refused, not repaired."""
    from afnio.cognitive import parameter

    state = parameter._to_state(Parameter("x")) | {"history": rows}
    with pytest.raises((InputTypeError, InputValueError)):
        parameter._from_state(state)


def test_states_without_versions_load():
    """Files from before versions and frozen parts still load."""
    from afnio.cognitive import parameter

    state = parameter._to_state(Parameter("x"))
    del state["history"], state["frozen"]
    assert parameter._from_state(state).history == ()


@given(st.lists(st.sampled_from("abcde"), min_size=1))
def test_history_holds_each_value_once(texts):
    """Whatever is assigned, earlier values are different and not the present one."""
    p = Parameter(texts[0])
    for text in texts[1:]:
        p.data = text
        seen = [*values(p), p.data]
        assert len(seen) == len(set(seen))
        assert seen[-1] == text


# -- frozen parts ---------------------------------------------------------------------

TEXT = "Hi.\n<keep>\nNever lie.\n</keep>\nBe brief. <keep>x</keep>"


def test_frozen_parts_must_survive_rewrites():
    """Texts and what stands between markers must stay; assignment is free."""
    p = Parameter(TEXT, frozen=["Be brief.", ("<keep>", "</keep>")])
    kept = ("Be brief.", "<keep>\nNever lie.\n</keep>", "<keep>x</keep>")
    assert p.frozen == kept
    p.check_data(" ".join(reversed(kept)))
    with pytest.raises(InputValueError, match="Never lie"):
        p.check_data(TEXT.replace("Never lie.", "Lie."))
    p.data = "anything"
    assert copy.deepcopy(p).frozen == kept


@pytest.mark.parametrize(
    ("frozen", "error"),
    [
        ("Hi.", InputTypeError),
        ([3], InputTypeError),
        ([""], InputTypeError),
        ([("a", "b", "c")], InputTypeError),
        (["absent"], InputValueError),
        ([("<keep>", "<absent>")], InputValueError),
    ],
)
def test_what_is_frozen_is_checked(frozen, error):
    """It must be text, and occur."""
    with pytest.raises(error):
        Parameter(TEXT, frozen=frozen)


def test_an_optimizer_refuses_rewrites_that_lose_frozen_parts():
    """TGD asks again with the reason, and takes what keeps the frozen part."""
    p = Parameter("Be brief. NEVER LIE.", "system prompt", frozen=["NEVER LIE."])
    p.append_grad(Variable("be friendlier", "feedback"))
    texts = iter(["Be kind.", "Be kind. NEVER LIE."])

    def rewrite(messages, **args):
        tag = re.findall(r"</(new\w*)>", messages[-1]["content"])[-1]
        return f"<{tag}>{next(texts)}</{tag}>"

    model = ScriptedModel(rewrite)
    TGD([p], model_client=model).step()
    assert p.data == "Be kind. NEVER LIE."
    assert "NEVER LIE" in model.requests[1].messages[-1]["content"]
    assert values(p) == ["Be brief. NEVER LIE."]


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
