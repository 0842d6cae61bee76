"""A chat server on loopback that answers in the form asked for, after 100 ms.

``python -m benchmarks._world`` runs it in a process of its own. It says nothing clever:
every answer to a task is ``WRONG``, every critique ``Be exact.`` and every new prompt
``Answer exactly.`` It knows the answer formats of afnio and of the peers that
`benchmarks._peers` runs, so that all make the same step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks import _http
from benchmarks._http import Answer, completion, response

LATENCY_S: Final = 0.1
CRITIQUE: Final = "Be exact."
PROMPT: Final = "Answer exactly."

_OUR_TAG: Final = re.compile(r"^<([\w-]+)>\nthe complete new text\n</\1>", re.MULTILINE)
_DSPY_FIELD: Final = re.compile(r"\[\[ ## (\w+) ## \]\]")


def answer(request: dict[str, Any]) -> str:
    """Return what to say to a request, by the form that it asks for."""
    text = _said(request)
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema:
        return json.dumps(dict.fromkeys(schema["required"], CRITIQUE))
    if found := _OUR_TAG.findall(text):
        return f"<{found[-1]}>\n{PROMPT}\n</{found[-1]}>"
    for mark, said in _PEERS.items():
        if mark in text:
            return said(text) if callable(said) else said
    return "WRONG"


def _said(request: dict[str, Any]) -> str:
    """Return the text of a request to the chat API, or to the responses API."""
    turns = request["messages"] if "messages" in request else request["input"]
    return (
        turns
        if isinstance(turns, str)
        else "\n".join(str(turn["content"]) for turn in turns)
    )


def _dspy(text: str) -> str:
    wanted = text.rpartition(_DSPY_MARK)[2]
    fields = [name for name in _DSPY_FIELD.findall(wanted) if name != "completed"]
    values = "\n\n".join(f"[[ ## {name} ## ]]\nWRONG" for name in fields)
    return f"{values}\n\n[[ ## completed ## ]]"


_DSPY_MARK: Final = "Respond with the corresponding output fields"
_PEERS: Final[dict[str, str | Callable[[str], str]]] = {
    "<proposed_variable>": "<response><reasoning></reasoning><method></method>"
    f"<proposed_variable>{PROMPT}</proposed_variable></response>",
    '"suggestion"': json.dumps({"reasoning": "", "suggestion": {"prompt": PROMPT}}),
    "<IMPROVED_VARIABLE>": f"<IMPROVED_VARIABLE>{PROMPT}</IMPROVED_VARIABLE>",
    _DSPY_MARK: _dspy,
    "new instruction": f"```\n{PROMPT}\n```",
}
"""What stands in requests of AdalFlow, Trace, TextGrad, DSPy, GEPA; what to answer."""


def _responses_body(request: dict[str, Any]) -> dict[str, Any]:
    """Answer in the form of OpenAI's responses API, which AdalFlow asks."""
    said = {"type": "output_text", "text": answer(request), "annotations": []}
    message = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [said],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": request["model"],
        "status": "completed",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 28,
        },
    }


def _handle(_method: str, _path: str, body: bytes) -> Answer:
    request = json.loads(body)
    if "messages" in request:
        said = completion(request["model"], answer(request))
    else:
        said = _responses_body(request)
    return Answer(response(said, "200 OK"), LATENCY_S)


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a process of its own; yields its base URL."""
    with _http.running("benchmarks._world") as address:
        yield f"{address}/v1"


if __name__ == "__main__":
    _http.serve(_handle)
