"""Running commands, in this process and in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

import afnio
from afnio.cli import app

AGENT = """
from afnio import cognitive as cog
from afnio.errors import BadRequestError
from afnio.models.testing import ScriptedModel


class Capitals(cog.Module):
    def __init__(self, model=None):
        super().__init__()
        replies = {"Italy": "Rome", "France": "Paris", "": "London"}
        self.model = model or ScriptedModel(replies)
        self.prompt = cog.Parameter("Name the capital of {country}.", role="prompt")
        messages = [{"role": "user", "content": [self.prompt]}]
        self.chat = cog.ChatCompletion(self.model, messages)

    def forward(self, country):
        return self.chat(inputs={"country": country})


program = Capitals()
worse = Capitals(ScriptedModel({"Italy": "Milan", "": "Paris"}, name="worse"))
broken = Capitals(ScriptedModel({"": BadRequestError("down")}))
number = 3


def make():
    return Capitals()


def one_letter(prediction, target):
    return float(prediction[0] == target[0])


def asks(country, fwd_model):
    return fwd_model.chat([{"role": "user", "content": country}])


def loud(country):
    print("noise")
    return "Rome"


data = [{"country": "Italy", "target": "Rome"}]
"""

DATA = """\
{"country": "Italy", "target": "Rome"}
{"country": "France", "target": "Paris"}
{"country": "Spain", "target": "Madrid"}
"""


def write_files():
    """Write a program and its data into the working directory."""
    Path("agent.py").write_text(AGENT)
    Path("data.jsonl").write_text(DATA)


def cli(*words):
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def environment():
    """Return an environment in which Python finds this afnio."""
    return {**os.environ, "PYTHONPATH": str(Path(afnio.__file__).parent.parent)}


def process(*words, **more):
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "afnio", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), **more},
    )


def run(*words, **more):
    """Run a command in a process of its own; return its code, output and errors."""
    with process(*words, **more) as started:
        out, err = started.communicate(timeout=60)
        return started.returncode, out, err
