"""Record the replies of a run once; run it in CI without keys, network or chance.

    python examples/replay_in_ci.py [--model provider/name]

The recording is a file that you commit beside the test. In replay nothing is sent: a
call that was not recorded is an error, and it names the nearest recording.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _models import choose_models

import afnio.cognitive.functional as F
from afnio import Variable
from afnio.errors import ReplayMissError
from afnio.models import ReplyCache, use_cache

(model,) = choose_models({"Italian": "Ciao!", "French": "Salut !"})
TASK = Variable("Say hello in {language}.", role="task")


def greet(task: Variable, language: str) -> str:
    """Return one greeting: the program under test."""
    messages = [{"role": "user", "content": [task]}]
    return F.chat_completion(model, messages, {"language": language}).data


recording = Path(tempfile.mkdtemp()) / "greetings.sqlite"
with use_cache(ReplyCache(recording, mode="record")):
    recorded = [greet(TASK, language) for language in ("Italian", "French")]

with use_cache(ReplyCache(recording, mode="replay")):
    assert [greet(TASK, language) for language in ("Italian", "French")] == recorded
    print(f"replayed without a call: {recorded}\n")
    try:
        greet(Variable("Say hi in {language}.", role="task"), "French")
    except ReplayMissError as error:
        print(f"a changed prompt is noticed:\n{error}")
