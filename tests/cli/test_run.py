"""``afnio run`` and ``afnio resume``: scripts, their settings, and their ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import cli, environment, process, run
from typer.testing import CliRunner

from afnio.cli import app
from afnio.tracking import read_run
from afnio.tracking._manifest import origin

ASK = """\
import sys
from afnio.models.testing import ScriptedModel
model = ScriptedModel(lambda messages, **args: "Hello " + messages[0]["content"])
for name in sys.argv[1:]:
    print(model.chat([{"role": "user", "content": name}]))
"""

TRAIN = """\
import sys
import afnio, afnio.cognitive as cog
from afnio import tracking
from afnio.models.testing import ScriptedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.trainer import Trainer, Callback
from pathlib import Path

class Agent(cog.Module):
    def __init__(self):
        super().__init__()
        self.prompt = cog.Parameter("Say {word}.", role="prompt")
        self.chat = cog.ChatCompletion(
            ScriptedModel("no"), [{"role": "user", "content": [self.prompt]}]
        )

    def training_step(self, batch, batch_idx):
        return cog.exact_match_evaluator(self.chat(inputs={"word": batch}), batch)

    def configure_optimizers(self):
        editor = ScriptedModel(in_tags("Say only {word}."))
        return TGD(self.parameters(), model_client=editor)

class Stop(Callback):
    def on_train_batch_end(self, trainer, agent, *rest):
        print("step", trainer.global_step, flush=True)
        if trainer.global_step == 2 and not Path("go").exists():
            Path("go").touch()
            raise KeyboardInterrupt("as if by Ctrl-C")

afnio.set_backward_model_client(ScriptedModel(feedback("Be brief.")))
run = tracking.init("me", "demo", "first")
trainer = Trainer(
    max_epochs=1, enable_progress_bar=False, enable_agent_summary=False,
    callbacks=[Stop()],
)
trainer.fit(Agent(), ["a", "b", "c"])
tracking.finish()
"""


def script(text, name="script.py"):
    """Write a script into the working directory."""
    Path(name).write_text(text)
    return name


def test_a_script_runs_as_python_would_run_it():
    """It is __main__, sees its arguments, and can import what stands beside it."""
    Path("sub").mkdir()
    script("beside = 'here'\n", "sub/beside_it.py")
    script(
        "import sys, beside_it\n"
        "print(__name__, sys.argv, beside_it.beside, sys.path[0].endswith('sub'))\n",
        "sub/main.py",
    )
    result = cli("run", "sub/main.py", "--lr", "1", "-x")
    expected = "__main__ ['sub/main.py', '--lr', '1', '-x'] here True\n"
    assert result.stdout == expected
    assert "beside_it" in sys.modules
    del sys.modules["beside_it"]


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('done badly')", 1, "done badly"),
        ("1 / 0", 3, "ZeroDivisionError"),
        ("raise KeyboardInterrupt('resume so')", 130, "stopped. resume so"),
    ],
)
def test_a_script_ends_as_it_ends(end, code, words):
    """Its own exit code is passed on; errors and Ctrl-C have ours."""
    result = cli("run", script(f"import sys\n{end}\n"))
    assert result.exit_code == code
    assert words in result.stderr


def test_the_traceback_begins_in_the_script():
    """Nothing of ours stands between the person and the error."""
    code, _, err = run("run", script("def f():\n    return 1 / 0\nf()\n"))
    assert code == 3
    frames = [line for line in err.splitlines() if line.startswith('  File "')]
    assert len(frames) == 2
    assert all("script.py" in frame for frame in frames)


def test_settings_hold_for_the_script_and_end_with_it():
    """Cache and budget answer and limit its calls; the seed is set."""
    words = ("run", "--cache-path", "c.sqlite", "--budget-calls", "1")
    name = script(ASK)
    first = cli(*words, name, "Ann")
    assert first.stdout == "Hello Ann\n"
    assert "1 calls paid" in first.stderr
    second = cli(*words, name, "Ann", "Bob", "Eve")
    assert second.exit_code == 3
    assert second.stdout == "Hello Ann\nHello Bob\n"
    assert "BudgetError" in second.stderr
    assert "1 calls answered from c.sqlite" in second.stderr
    assert cli("run", name, "a", "b").stdout == "Hello a\nHello b\n"
    seeded = cli("run", "--seed", "5", script("import random; print(random.random())"))
    assert float(seeded.stdout) == random.Random(5).random()


def test_runs_are_kept_where_asked():
    """--run-dir is where tracking.init puts the run, with the command on record."""
    name = script("import afnio.tracking as t; t.init('me', 'demo', 'one')\n")
    code, _, _ = run("run", "--run-dir", "kept", name, "--lr", "1")
    assert code == 0
    data, _ = read_run("kept/demo/one")
    assert data["status"] == "COMPLETED"
    argv = data["command"]["argv"]
    assert argv[-6:] == ["run", "--run-dir", "kept", "script.py", "--lr", "1"]


def test_a_script_that_fails_leaves_a_crashed_run():
    """The run on record says what happened."""
    code, _, _ = run(
        "run", script("import afnio.tracking as t; t.init('me', 'demo', 'one'); 1 / 0")
    )
    assert code == 3
    assert read_run("runs/demo/one")[0]["status"] == "CRASHED"


def test_wrong_scripts_are_refused():
    """A missing file, and options after the script's name that belong before it."""
    result = cli("run", "none.py")
    assert (result.exit_code, "no script none.py" in result.stderr) == (2, True)
    assert cli("run", "--budget-usd", "-1", script("")).exit_code == 2
    assert cli("run", "--cache", "ful", script("")).exit_code == 2


def test_a_stopped_training_goes_on_in_the_same_run():
    """Interrupted in its second step; resumed, it goes on from the first."""
    code, out, err = run("run", script(TRAIN))
    assert (code, out) == (130, "step 1\nstep 2\n")
    assert "resume" in err
    code, out, err = run("resume", "first")
    assert code == 0, err
    assert out == "step 2\nstep 3\n"
    assert [path.name for path in Path("runs/demo").glob("*/")] == ["first"]
    assert read_run("runs/demo/first")[0]["status"] == "COMPLETED"
    assert run("resume", "first")[0] == 2


def test_the_latest_run_is_resumed_by_default_and_can_be_shown():
    """--show prints a command that a shell can run."""
    run("run", script(TRAIN), "it's me")
    code, out, _ = run("resume", "--show")
    assert code == 0
    assert out.startswith("cd ")
    assert out.rstrip().endswith("""run script.py 'it'"'"'s me'""")


SPEND = """\
from pathlib import Path
from afnio import tracking
from afnio.models.testing import ScriptedModel
model = ScriptedModel("yes")
model.chat([{"role": "user", "content": "before there is a run"}])
tracking.init("me", "demo", "first")
for number in range(9):
    model.chat([{"role": "user", "content": str(number)}])
    if number == 1 and not Path("again").exists():
        Path("again").touch()
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_budget_covers_a_run_and_its_resumption_together():
    """Killed after 3 paid calls of 5; the resumed run may pay for 2 more."""
    code, _, _ = run("run", "--budget-calls", "5", script(SPEND))
    assert code == -signal.SIGKILL
    spent = Path("runs/demo/first/spend.jsonl")
    assert len(spent.read_text().splitlines()) == 3
    code, _, err = run("resume", "first")
    assert code == 3
    assert "BudgetError" in err
    assert "5 calls paid" in err
    assert len(spent.read_text().splitlines()) == 5
    code, _, _ = run("resume", "first", "--budget-calls", "50")
    assert code == 0
    assert (
        len(spent.read_text().splitlines()) == 15
    )  # 5, and all 10 calls of the script
    other = run("resume", "first", "--budget-calls", "50", "--show")
    assert other[0] == 0


def test_a_damaged_record_of_spending_is_refused(monkeypatch):
    """Rather than to spend twice; a torn last line is left out."""
    fake_run()
    spent = Path("runs/demo/fake/spend.jsonl")
    monkeypatch.setenv("AFNIO_RESUME", "runs/demo/fake")
    words = ("run", "--budget-calls", "5", script(""))
    spent.write_text('{"role": "forward", "usd": "0.5", "tokens": 9}\n{"role')
    result = cli(*words)
    assert (result.exit_code, "1 calls paid, $0.5000" in result.stderr) == (0, True)
    spent.write_text('{"role": "forward", "usd": "much", "tokens": 9}\n')
    result = cli(*words)
    assert (result.exit_code, "spend.jsonl is damaged" in result.stderr) == (2, True)


def fake_run(**fields):
    """Write a run by hand."""
    folder = Path("runs/demo/fake")
    folder.mkdir(parents=True)
    document = {
        "format": "afnio.run",
        "version": 1,
        "status": "CRASHED",
        "pid": 1,
        "host": "elsewhere",
        **fields,
    }
    (folder / "run.json").write_text(json.dumps(document))


HERE = {"argv": ["python", "-c", "raise SystemExit(9)"], "cwd": "."}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "not started by a script"),
        ({"command": {**HERE, "interactive": True}}, "not started by a script"),
        ({"command": {**HERE, "hidden": True}}, "held a key"),
        ({"command": {"argv": [], "cwd": "."}}, "has no command"),
        ({"command": {"argv": ["python", 3], "cwd": "."}}, "has no command"),
        ({"command": {**HERE, "cwd": "/no/such/place"}}, "is gone"),
        ({"command": HERE, "status": "COMPLETED"}, "--force"),
        ({"command": HERE, "status": "RUNNING"}, "still running"),
    ],
)
def test_runs_that_cannot_be_resumed_say_why(fields, words):
    """Exit code 2, and nothing was started."""
    fake_run(**fields)
    result = cli("resume", "fake")
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_exit_code_of_what_was_resumed_is_passed_on():
    """As if it had been started by hand, with this Python."""
    fake_run(
        command={**HERE, "cwd": str(Path.cwd()), "origin": origin("runs/demo/fake")}
    )
    assert run("resume", "fake")[0] == 9


@pytest.mark.parametrize("name", [None, "host", "user", "python", "run"])
def test_commands_from_elsewhere_need_a_yes(name):
    """A run that somebody sent may hold any command; it is shown, and not started."""
    said = {} if name is None else {**origin("runs/demo/fake"), name: "elsewhere"}
    fake_run(command={**HERE, "cwd": str(Path.cwd()), "origin": said})
    refused = cli("resume", "fake")
    assert refused.exit_code == 2
    assert "raise SystemExit(9)" in refused.stderr
    assert "--yes" in refused.stderr
    assert (name or "host") in refused.stderr
    assert run("resume", "fake", "--yes")[0] == 9


@pytest.mark.parametrize(("answer", "code"), [("y", 9), ("n", 1)])
def test_a_person_is_asked_about_commands_from_elsewhere(answer, code, monkeypatch):
    """At a terminal, the answer decides."""
    command = {**HERE, "cwd": str(Path.cwd())}
    fake_run(command=command)
    monkeypatch.setattr("afnio.cli._run._is_attended", lambda: True)
    result = CliRunner().invoke(app, ["resume", "fake"], input=answer)
    assert result.exit_code == code


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
def test_arguments_that_are_no_text_can_be_resumed():
    """The run of a program whose argument is not UTF-8 stays readable."""
    code = "import sys, afnio.tracking as t; t.init('me', 'demo', 'odd'); print(1 / 0)"
    Path("odd.py").write_text(code)
    command = [sys.executable, "odd.py", b"\xe9"]
    done = subprocess.run(command, check=False, capture_output=True, env=environment())
    assert done.returncode == 1
    data, _ = read_run("runs/demo/odd")
    assert os.fsencode(data["command"]["argv"][-1]) == b"\xe9"
    assert run("resume", "odd")[0] == 1


def test_options_behind_the_script_are_the_scripts():
    """But somebody who sets a limit there is told that it is none."""
    name = script("print('ran')")
    result = cli("run", name, "--budget-calls=1", "--lr", "2", "--", "--seed", "1")
    assert result.exit_code == 0
    assert "--budget-calls=1 comes after the script" in result.stderr
    assert not cli("run", name, "--lr", "2", "--", "--seed", "1").stderr


def test_missing_runs_are_named_with_the_closest():
    """As are directories that are no runs."""
    fake_run()
    assert "did you mean 'fake'" in cli("resume", "fkae").stderr
    assert "is not a run" in cli("resume", "runs").stderr
    assert cli("resume", "fkae").exit_code == 2


def test_a_budget_that_is_used_up_is_no_crash_of_the_script():
    """One short message names the option; the run is closed all the same."""
    name = script(
        "from afnio import tracking\n"
        "from afnio.models.testing import ScriptedModel\n"
        "tracking.init('me', 'demo', 'poor')\n"
        "for text in 'ab':\n"
        "    ScriptedModel('x').chat([{'role': 'user', 'content': text}])\n"
    )
    code, _, err = run("run", "--budget-calls", "1", name)
    assert code == 3
    assert "Traceback" not in err
    assert "--budget-calls (or the Budget that the script sets)" in err
    assert "Budget(calls=…)" not in err
    assert read_run("runs/demo/poor")[0]["status"] == "CRASHED"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_reaches_the_script_and_exits_with_130():
    """The script's own message is shown."""
    name = script(
        "import threading\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    threading.Event().wait(60)\n"
        "except KeyboardInterrupt:\n"
        "    raise KeyboardInterrupt('all saved')\n"
    )
    with process("run", name) as started:
        assert started.stdout.readline() == "ready\n"
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert err == "afnio: stopped. all saved\n"
