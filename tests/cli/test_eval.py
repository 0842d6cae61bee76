"""``afnio eval``: what it prints, saves, and exits with."""

from __future__ import annotations

import copy
import json
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from cli_helpers import cli, environment, process, run, write_files

import afnio
from afnio.cli._load import load_program
from afnio.evaluation import Evaluation


@pytest.fixture(autouse=True)
def _files():
    write_files()


def test_it_prints_score_and_worst_samples():
    """A person sees the score, its interval, and what went wrong."""
    result = cli("eval", "agent.py:program", "data.jsonl")
    assert result.exit_code == 0
    assert "score 0.667 [0.208, 0.939], 3 samples" in result.stdout
    assert "sample 2: 0  Spain\n    output London\n    target Madrid" in result.stdout


def test_json_is_all_that_is_printed():
    """A script reads one JSON document, whatever the program prints."""
    result = cli("eval", "agent.py:loud", "data.jsonl", "--json")
    found = json.loads(result.stdout)
    assert found["passed"]
    assert found["evaluation"]["scored"] == 3
    assert found["comparison"] is None


CI_SCRIPT = """
set -eu
afnio() { "$PYTHON" -m afnio "$@"; }
afnio eval agent.py:program data.jsonl --cache record --cache-path replies.sqlite \\
    --out main.json
afnio eval "agent.py:$1" data.jsonl --cache-path replies.sqlite \\
    --baseline main.json --junit report.xml
echo deployed
"""


@pytest.mark.skipif(shutil.which("sh") is None, reason="a script of the shell")
@pytest.mark.parametrize(("program", "code"), [("program", 0), ("worse", 1)])
def test_a_regression_fails_a_ci_script(program, code):
    """A script as CI runs it goes on after an equal program, and stops at a worse."""
    Path("ci.sh").write_text(CI_SCRIPT)
    done = subprocess.run(
        ["sh", "ci.sh", program],
        env={**environment(), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("deployed" in done.stdout) == (code == 0)
    assert ("FAIL  change -0.3333" in done.stdout) == (code == 1)
    (suite,) = ET.parse("report.xml").getroot()
    assert suite.get("failures") == str(code)


def test_how_far_a_score_may_fall():
    """A fall that is allowed, and one that may be chance, pass."""
    cli("eval", "agent.py", "data.jsonl", "--out", "main.json")
    words = ("eval", "agent.py:worse", "data.jsonl", "--baseline", "main.json")
    result = cli(*words)
    assert result.exit_code == 1
    assert "sample 0: 1 -> 0" in result.stdout
    assert cli(*words, "--max-regression", "0.4").exit_code == 0
    assert cli(*words, "--sure").exit_code == 0


def test_another_program_is_a_baseline_too():
    """Both programs are evaluated on the same data."""
    words = ("eval", "agent.py:worse", "data.jsonl", "--against", "agent.py")
    result = cli(*words, "--json")
    assert result.exit_code == 1
    comparison = json.loads(result.stdout)["comparison"]
    assert (comparison["worse"], comparison["better"]) == (1, 0)


def test_two_programs_that_import_namesakes_are_refused():
    """Else the second would silently run on the first one's modules."""
    for folder, answer in (("old", "Rome"), ("new", "Milan")):
        Path(folder).mkdir()
        Path(folder, "answers.py").write_text(f"ANSWER = {answer!r}\n")
        Path(folder, "agent.py").write_text(
            "from answers import ANSWER\ndef program(country):\n    return ANSWER\n"
        )
    words = ("eval", "new/agent.py", "data.jsonl")
    try:
        result = cli(*words, "--against", "old/agent.py")
    finally:
        sys.modules.pop("answers", None)
    assert (result.exit_code, "'answers'" in result.stderr) == (2, True)


def test_a_low_score_fails():
    """The threshold is the lowest mean that passes."""
    words = ("eval", "agent.py", "data.jsonl", "--min-score")
    assert cli(*words, "0.6").exit_code == 0
    assert cli(*words, "0.7").exit_code == 1


def test_samples_that_fail_are_no_score():
    """Too many errors exit with 3: the program could not be evaluated."""
    words = ("eval", "agent.py:broken", "data.jsonl")
    result = cli(*words, "--min-score", "0")
    assert result.exit_code == 3
    assert "3 of 3 samples failed" in result.stdout
    assert "3 x BadRequestError: down (sample 0)" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agent.py:progam", "data.jsonl"], "did you mean 'program'"),
        (["agnt.py", "data.jsonl"], "no file agnt.py"),
        (["agent.py:number", "data.jsonl"], "is int; expected a Module"),
        (["agent/x", "data.jsonl"], "neither a .py file nor"),
        (["nowhere.at_all:program", "data.jsonl"], "no module 'nowhere'"),
        (["agent.py", "none.jsonl"], "no data file none.jsonl"),
        (["agent.py", "data.parquet"], "nobody can read data"),
        (["agent.py", "agent.py:nothing"], "has no 'nothing'"),
        (["agent.py", "agent.py:number"], "is int; expected a list"),
        (["agent.py", "data.jsonl", "--target", "x"], "no field 'x'"),
        (["agent.py", "data.jsonl", "-e", "exact"], "did you mean 'exact_match'"),
        (["agent.py", "data.jsonl", "-b", "none.json"], "no evaluation at none.json"),
        (["agent.py", "data.jsonl", "--state", "none"], "no run 'none'"),
        (["agent.py:asks", "data.jsonl", "--state", "x"], "only a Module"),
        (["agent.py:asks", "data.jsonl"], "needs country, fwd_model"),
        (["agent.py", "data.jsonl", "-m", "openai/x"], "OPENAI_API_KEY"),
        (["agent.py", "data.jsonl", "--model", "nobody/x"], "Unsupported provider"),
        (["agent.py", "data.jsonl", "--cache", "replay"], "no recording"),
    ],
)
def test_what_cannot_be_used_is_named(words, message):
    """Exit code 2, one message without a traceback, and no result."""
    result = cli("eval", *words)
    assert message in result.stderr or message in result.stdout
    assert "Traceback" not in result.stderr
    assert result.exit_code == (3 if "replay" in words else 2)


def test_unknown_options_are_usage_errors():
    """The closest option is suggested."""
    result = cli("eval", "agent.py", "data.jsonl", "--basline", "x")
    assert result.exit_code == 2
    assert "--baseline" in result.stderr
    both = ("--baseline", "b.json", "--against", "agent.py")
    assert cli("eval", "agent.py", "data.jsonl", *both).exit_code == 2


def test_an_error_in_the_file_shows_its_traceback():
    """The person who wrote the file needs to see where."""
    Path("bad.py").write_text("raise ZeroDivisionError('deep inside')")
    result = cli("eval", "bad.py", "data.jsonl")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert "deep inside" in result.stderr


@pytest.mark.parametrize("name", ["program", "make", "Capitals"])
def test_modules_functions_and_classes_are_programs(name):
    """A class and a function without parameters make the program."""
    result = cli("eval", f"agent.py:{name}", "data.jsonl")
    assert "score 0.667" in result.stdout


def test_modules_can_be_named_by_import_path():
    """The working directory is looked in, as Python does."""
    Path("package").mkdir()
    Path("package/inner.py").write_text(Path("agent.py").read_text())
    result = cli("eval", "package.inner:program", "package.inner:data")
    assert "score 1.000" in result.stdout


def test_data_can_be_csv_json_or_a_name():
    """All are the same samples."""
    Path("d.csv").write_text("country,target\nItaly,Rome\n")
    Path("d.json").write_text('[{"country": "Italy", "target": "Rome"}]')
    for data in ("d.csv", "d.json", "agent.py:data"):
        assert "score 1.000, 1 sample" in cli("eval", "agent.py", data).stdout


def test_evaluators_of_ones_own():
    """A function in a file scores as it likes."""
    result = cli("eval", "agent.py", "data.jsonl", "-e", "agent.py:one_letter")
    assert "score 0.667" in result.stdout


def test_the_model_can_be_chosen_outside():
    """It goes to the parameter of the class, or of the program, that is for one."""
    Path("provider.py").write_text(
        "from afnio.models import register_provider\n"
        "from afnio.models.testing import ScriptedModel\n"
        "register_provider('cli-test', lambda model: ScriptedModel(model))\n"
        "from agent import asks, Capitals\n"
    )
    for name in ("asks", "Capitals"):
        words = ("eval", f"provider.py:{name}", "data.jsonl", "-m", "cli-test/Rome")
        result = cli(*words)
        assert "score 0.333" in result.stdout, result.stderr


def test_a_state_is_loaded_first():
    """What was trained is what is evaluated: here, a prompt that always says Italy."""
    program, _ = load_program("agent.py")
    trained = copy.deepcopy(program)
    trained.prompt.data = "Italy? {country}"
    afnio.save({"agent_state_dict": trained.state_dict()}, "best.json")
    result = cli("eval", "agent.py", "data.jsonl", "--state", "best.json")
    assert "score 0.333" in result.stdout, result.stderr


def test_replies_are_recorded_and_replayed():
    """A recorded evaluation is repeated without asking a model."""
    words = ("eval", "agent.py", "data.jsonl", "--cache-path", "replies.sqlite")
    cli(*words)
    result = cli(*words, "--cache", "replay", "--json")
    usage = json.loads(result.stdout)["evaluation"]["usage"]["test"]
    assert (usage["calls"], usage["cached_calls"]) == (0, 3)
    assert "3 calls answered from replies.sqlite" in result.stderr


def test_a_budget_is_never_exceeded():
    """What does not fit any more is an error of its sample."""
    result = cli("eval", "agent.py", "data.jsonl", "--budget-calls", "2")
    assert result.exit_code == 3
    assert "BudgetError" in result.stdout
    assert "2 calls paid" in result.stderr


def test_results_are_saved_also_when_they_fail():
    """CI wants to show them then."""
    words = ("eval", "agent.py", "data.jsonl", "--min-score", "1")
    assert cli(*words, "-o", "out.json").exit_code == 1
    assert Evaluation.load("out.json").mean == pytest.approx(2 / 3)


def test_files_are_prepared_before_anything_is_paid():
    """Directories are made; a directory in a file's place is refused."""
    words = ("eval", "agent.py", "data.jsonl")
    assert cli(*words, "-o", "a/b/out.json", "--junit", "c/j.xml").exit_code == 0
    assert Path("a/b/out.json").exists()
    assert Path("c/j.xml").exists()
    result = cli(*words, "-o", "a", "--budget-calls", "0")
    assert (result.exit_code, "a is a directory" in result.stderr) == (2, True)


def test_a_baseline_of_other_data_is_refused_and_results_are_kept():
    """What was paid for is saved all the same."""
    cli("eval", "agent.py", "agent.py:data", "-o", "base.json")
    Path("other.json").write_text('[{"country": "Peru", "target": "Lima"}]')
    words = ("eval", "agent.py", "other.json", "-b", "base.json", "-o", "new.json")
    result = cli(*words)
    assert (result.exit_code, "no scored sample" in result.stderr) == (2, True)
    assert Path("new.json").exists()


def test_hostile_names_and_answers_cannot_command_a_terminal():
    """Escape sequences in data are shown as text."""
    Path("evil.py").write_text("def program(text):\n    return '\\x1b[2J' + text\n")
    Path("evil.json").write_text('[["\\u001b]0;x\\u0007", "\\u001b[1m"]]')
    result = cli("eval", "evil.py", "evil.json")
    assert "\x1b" not in result.stdout
    assert "\\x1b[2J" in result.stdout


def test_a_poor_terminal_shows_escapes():
    """An answer that its encoding lacks is no error."""
    Path("far.py").write_text("def program(text):\n    return '\\u6771\\u4eac'\n")
    Path("far.json").write_text('[["capital", "Kyoto"]]')
    code, out, err = run("eval", "far.py", "far.json", PYTHONIOENCODING="latin-1")
    assert (code, "output \\u6771\\u4eac" in out) == (0, True), err


def test_ctrl_c_exits_with_130(tmp_path):
    """A call in flight is given up, and nothing is printed as a result."""
    Path("slow.py").write_text(
        "from afnio.models.testing import ScriptedModel\n"
        "model = ScriptedModel('x', latency_s=600)\n"
        "def program(text):\n"
        "    print('asking', flush=True)\n"
        "    return model.chat([{'role': 'user', 'content': text}])\n"
    )
    Path("slow.json").write_text('[["a", "b"]]')
    with process("eval", "slow.py", "slow.json") as started:
        assert started.stdout.readline() == "asking\n"
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "score" not in out
    assert "Traceback" not in err


EXITS = """
import sys

def program(country):
    if country == "Spain":
        sys.exit(0)
    return "Rome"
"""


def test_a_program_that_exits_has_failed_on_that_sample():
    """Neither the threshold nor the file is skipped; the code is never 0."""
    write_files()
    Path("exits.py").write_text(EXITS)
    result = cli("eval", "exits.py", "data.jsonl", "--out", "r.json", "--json")
    assert result.exit_code == 3
    errors = [sample.error for sample in Evaluation.load("r.json").samples]
    assert errors == [None, None, "SystemExit: sys.exit(0) was called"]


@pytest.mark.parametrize(
    "options",
    [
        ("--out", "data.jsonl"),
        ("--junit", "./data.jsonl"),
        ("--out", "agent.py"),
        ("--out", "old.py", "--against", "old.py:program"),
        ("--out", "state.afnio", "--state", "state.afnio"),
        ("--out", "new", "--junit", "new"),
    ],
)
def test_results_do_not_replace_what_is_read(options):
    """Nor each other; nothing was run."""
    write_files()
    before = Path("data.jsonl").read_bytes()
    result = cli("eval", "agent.py", "data.jsonl", *options)
    assert result.exit_code == 2
    assert "name another file" in result.stderr
    assert Path("data.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", b"[" * 200_000),
        ("deep.jsonl", b"[" * 200_000),
        ("latin.jsonl", b'{"country": "\xe9"}\n'),
        ("latin.json", b'["\xe9"]'),
        ("latin.csv", b"country,target\n\xe9,Rome\n"),
    ],
)
def test_damaged_data_is_named(name, content):
    """No traceback: it is not the program that has failed."""
    write_files()
    Path(name).write_bytes(content)
    result = cli("eval", "agent.py", name)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"afnio: {name}")


def test_a_call_that_is_not_recorded_shows_what_differs():
    """Once for all samples of the kind: what was asked, and the nearest recording."""
    write_files()
    cli("eval", "agent.py", "data.jsonl", "--cache-path", "c.sqlite")
    source = Path("agent.py").read_text()
    Path("changed.py").write_text(source.replace("Name the", "Tell the"))
    words = ("--cache-path", "c.sqlite", "--cache", "replay")
    result = cli("eval", "changed.py", "data.jsonl", *words)
    assert result.exit_code == 3
    assert "3 x ReplayMissError: c.sqlite has no recording of this call" in (
        result.stdout
    )
    assert "'Tell the capital of Italy.' instead of 'Name the capital of" in (
        result.stdout
    )


def test_data_that_cannot_be_made_is_named():
    """A function with parameters is no data; the traceback of afnio says nothing."""
    write_files()
    result = cli("eval", "agent.py", "agent.py:loud")
    assert (result.exit_code, result.exception.code) == (2, 2)
    assert "agent.py:loud cannot be made without more arguments" in result.stderr
    assert "returns the data" in result.stderr


def test_latest_is_named_by_the_file_that_it_was():
    """A baseline is read when another run is the latest."""
    folder = Path("runs/demo/brave_otter_1/checkpoints")
    folder.mkdir(parents=True)
    (folder.parent / "run.json").write_text("{}")
    afnio.save(load_program("agent.py")[0].state_dict(), folder / "best.json")
    words = ("--state", "latest", "-o", "main.json")
    result = cli("eval", "agent.py:program", "data.jsonl", *words)
    assert result.exit_code == 0, result.stderr
    name = Evaluation.load("main.json").name
    assert name.startswith("agent.py:program with ")
    assert name.endswith(str(folder / "best.json"))
    assert "--state latest is " in result.stderr


def test_a_script_that_exits_while_loaded_is_a_wrong_argument():
    """Whatever the code; argparse exits when it reads afnio's words."""
    for code in (0, 2):
        Path("exits.py").write_text(f"import sys\nsys.exit({code})\n")
        result = cli("eval", "exits.py", "data.jsonl")
        assert result.exit_code == 2
        assert f"exits.py exited while it was loaded ({code})" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_replay_miss_names_the_option():
    """The words of Python alone would send people looking for a mode option."""
    words = ("--cache", "replay", "--cache-path", "none.sqlite")
    result = cli("eval", "agent.py:program", "data.jsonl", *words)
    assert "--cache record" in result.stdout + result.stderr


def test_fields_that_a_test_step_would_not_use_are_refused():
    """Exit code 2, and the option that makes them count."""
    Path("own.py").write_text(
        "from agent import Capitals\n"
        "class Own(Capitals):\n"
        "    def test_step(self, batch, batch_idx): ...\n"
    )
    result = cli("eval", "own.py:Own", "data.jsonl", "--target", "answer")
    assert result.exit_code == 2
    assert "-e exact_match" in result.stderr
