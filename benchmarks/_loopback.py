"""A server with OpenAI's chat API on loopback: ``python -m benchmarks._loopback``.

It answers at once, always the same, in a process of its own. The path says what else
happens: ``/slow-100/v1`` answers after 100 ms, ``/busy-10/v1`` answers every tenth
request with 429 and ``Retry-After: 1``; ``/slow-100/busy-10/v1`` does both.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import AbstractContextManager
from itertools import count
from typing import Final

from benchmarks import _http
from benchmarks._http import Answer, response

BODY: Final = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The answer is forty-two.",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 8,
            "total_tokens": 28,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }
).encode()
_SETTING: Final = re.compile(r"/(slow|busy)-(\d+)")
_ID: Final = "x-request-id: req-1"
_OK: Final = response(BODY, "200 OK", _ID)
_BUSY: Final = response(
    {"error": {"message": "slow down"}}, "429 Too Many Requests", _ID, "retry-after: 1"
)
_requests: Final[Counter[str]] = Counter()
_names: Final = count(1)


def _handle(_method: str, path: str, _body: bytes) -> Answer:
    settings = {name: int(value) for name, value in _SETTING.findall(path)}
    _requests[path] += 1
    every = settings.get("busy", 0)
    refuse = every and _requests[path] % every == 0
    return Answer(_BUSY if refuse else _OK, settings.get("slow", 0) / 1000)


def running() -> AbstractContextManager[str]:
    """Run the server in a process of its own; yields its address."""
    return _http.running("benchmarks._loopback")


def fresh(address: str, settings: str = "") -> str:
    """Return a base URL that nobody has asked yet, so counting starts at one."""
    return f"{address}/{next(_names)}{settings}/v1"


if __name__ == "__main__":
    _http.serve(_handle)
