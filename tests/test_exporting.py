"""Exports: the prompts as sent, in files that need no afnio."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afnio
import afnio.cognitive as cog
from afnio import Variable
from afnio.errors import InputTypeError, InputValueError
from afnio.exporting import export_program
from afnio.models.testing import ScriptedModel

NASTY = '"""\n\\N{DASH} \'quoted\' {x} {{y}} ``` </system>\r\n\u2028\x00é'
INPUTS = {"question": "why? {hint}", "hint": "{question}"}


def program(system="Be {tone}.", question="{hint}: {question}", rows=()):
    """Return a module with a system prompt, demonstrations and a question."""
    demos = cog.Demonstrations(rows, fields=("question",))
    return cog.ChatCompletion(
        ScriptedModel("reply"),
        [
            {"role": "system", "content": [cog.Parameter(system, "system prompt")]},
            {"role": "demonstrations", "content": [demos]},
            {"role": "user", "content": [Variable(question), Variable("Go!")]},
        ],
        model="small",
        temperature=0.5,
        extra_headers={"Authorization": "secret"},
    )


def sent(module, inputs):
    """Return what ChatCompletion sends."""
    module(inputs=inputs).data
    return [dict(turn) for turn in module.forward_model_client.requests[-1].messages]


def loaded(path):
    """Run an exported module and return its names."""
    namespace = {}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), namespace)
    return namespace


def test_python_needs_no_afnio(tmp_path):
    """The module runs isolated from everything installed, and says what is sent."""
    module = program(NASTY, rows=[["a {hint}", NASTY]])
    export_program(module, tmp_path / "prompts.py")
    code = (
        "import sys, json; sys.path.insert(0, '.'); import prompts; "
        "assert 'afnio' not in sys.modules; "
        f"print(json.dumps(prompts.messages(**{INPUTS!r})))"
    )
    probe = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert probe.returncode == 0, probe.stderr
    assert json.loads(probe.stdout) == sent(module, INPUTS)


pieces = st.lists(
    st.sampled_from(["{", "}", "{question}", "{hint}", "{{hint}}", "{tone}", "\n"])
    | st.text(max_size=5).filter(lambda text: text.isprintable()),
    max_size=6,
).map("".join)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces, pieces, st.lists(st.tuples(pieces, pieces), max_size=2), pieces, pieces)
def test_every_export_says_what_is_sent(tmp_path, system, question, rows, value, other):
    """Filled by us, or from Python, an export is what ChatCompletion sends."""
    module = program(system, question + "{question} {hint}", [list(r) for r in rows])
    inputs = {"question": value, "hint": other}
    expected = sent(module, inputs)
    names = loaded(export_program(module, tmp_path / "p.py"))
    assert names["messages"](**inputs) == expected
    try:
        path = export_program(module, tmp_path / "p.json")
    except InputValueError:  # a brace next to an input; the test below shows one
        return
    turns = json.loads(path.read_text("utf-8"))
    again = cog.ChatCompletion(
        ScriptedModel("reply"),
        [{**turn, "content": [Variable(turn["content"])]} for turn in turns],
    )
    assert sent(again, inputs) == expected


def test_json_is_a_list_of_chat_messages(tmp_path):
    """Demonstrations are expanded and placeholders are left in."""
    path = export_program(program(rows=[["q {tone}", "a"]]), tmp_path / "p.json")
    assert json.loads(path.read_text("utf-8")) == [
        {"role": "system", "content": "Be {tone}."},
        {"role": "user", "content": "{hint}: q {{tone}}\nGo!"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "{hint}: {question}\nGo!"},
    ]


def test_json_refuses_what_a_template_cannot_say(tmp_path):
    """A brace from an example next to an input would read as a literal brace."""
    module = program(question="{question}{hint}}", rows=[["{", "a"]])
    with pytest.raises(InputValueError, match="brace"):
        export_program(module, tmp_path / "p.json")


def test_several_chats_have_names(tmp_path):
    """With several chats, JSON is a dict and Python takes the name first."""
    agent = cog.ModuleDict({"a": program("A"), "b": program("B {name}")})
    found = json.loads(export_program(agent, tmp_path / "p.json").read_text("utf-8"))
    assert list(found) == ["a.messages", "b.messages"]
    names = loaded(export_program(agent, tmp_path / "p.py"))
    assert names["messages"]()[0]["content"] == "A"
    turns = names["messages"]("b.messages", name="N")
    assert turns[0]["content"] == "B N"
    assert names["SETTINGS"]["a.messages"] == {"model": "small", "temperature": 0.5}


def test_python_refuses_inputs_that_nothing_takes(tmp_path):
    """A mistyped input is an error, as it is in the program."""
    names = loaded(export_program(program(), tmp_path / "p.py"))
    with pytest.raises(TypeError, match="questoin"):
        names["messages"](questoin="x")


def test_markdown_shows_everything_once(tmp_path):
    """Chats, settings and parameters outside of chats are there, secrets are not."""
    agent = cog.ModuleDict({"ask": program("Use ``` and ````.")})
    agent.note = cog.Parameter("Remember.", "note")
    text = export_program(agent, tmp_path / "p.md").read_text("utf-8")
    assert "## ask.messages" in text
    assert "`````text\nUse ``` and ````.\n`````" in text
    assert "temperature" in text
    assert "Remember." in text
    assert "secret" not in text


def test_parameters_alone(tmp_path):
    """A program without chats exports its texts; JSON messages it has none."""
    agent = cog.ParameterDict({"p": cog.Parameter(NASTY)})
    assert loaded(export_program(agent, tmp_path / "p.py"))["TEXTS"] == {"p": NASTY}
    with pytest.raises(InputValueError, match="no chat"):
        export_program(agent, tmp_path / "p.json")


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"agent_state_dict": s}])
def test_state_dicts_and_checkpoints(tmp_path, wrap):
    """What was saved exports as the module does, without a client."""
    module = program(rows=[["q", "a"]])
    afnio.save(wrap(module.state_dict()), tmp_path / "state.json")
    state = afnio.load(tmp_path / "state.json")
    one = export_program(module, tmp_path / "one.py").read_bytes()
    assert export_program(state, tmp_path / "two.py").read_bytes() == one


def test_half_a_surrogate_pair_survives(tmp_path):
    """Text that UTF-8 cannot hold is escaped."""
    module = program("\ud800")
    names = loaded(export_program(module, tmp_path / "p.py"))
    assert names["messages"]()[0]["content"] == "\ud800"
    turns = json.loads(export_program(module, tmp_path / "p.json").read_text("utf-8"))
    assert turns[0]["content"] == "\ud800"


@pytest.mark.parametrize(
    ("value", "name", "kind", "error", "words"),
    [
        (3, "p.md", None, InputTypeError, "Module"),
        (cog.ModuleDict(), "p.md", None, InputValueError, "nothing"),
        (program(), "p", None, InputValueError, "tells no format"),
        (program(), "p", "pythn", InputValueError, "python"),
        (
            cog.ParameterDict({"p": cog.Parameter(["a"])}),
            "p.py",
            None,
            InputValueError,
            "batch",
        ),
    ],
)
def test_what_cannot_be_exported(tmp_path, value, name, kind, error, words):
    """The error names the reason, and no file appears."""
    with pytest.raises(error, match=words):
        export_program(value, tmp_path / name, kind)
    assert not list(tmp_path.iterdir())
