"""A llama.cpp server with the embedded model: ``python -m benchmarks._llama_server``.

It speaks OpenAI's language and Anthropic's, so one small model shows that a program
runs through both official SDKs:

    python -m benchmarks._llama_server openai      # the quickstart through it, timed
    python -m benchmarks._llama_server anthropic
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afnio.models.local import LocalModel

QUICKSTART = Path(__file__).parent.parent / "examples" / "quickstart.py"
PATHS = {"openai": "/v1", "anthropic": ""}
"""SDK → what it expects of a base URL."""


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks._llama_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def serve() -> None:
    """Print the address, then serve until the caller hangs up."""
    model = LocalModel()
    print(model.address, flush=True)
    sys.stdin.read()
    model.close()


def quickstart(sdk: str, *options: str) -> float:
    """Run the quickstart through ``sdk``; return the seconds it took."""
    with running() as address:
        url = address + PATHS[sdk]
        command = [sys.executable, str(QUICKSTART), "--model", f"{sdk}/smollm2"]
        start = time.perf_counter()
        subprocess.run([*command, "--base-url", url, *options], check=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    if len(sys.argv) > 1:
        took = quickstart(*sys.argv[1:])
        print(f"quickstart through the {sys.argv[1]} SDK: {took:.0f} s")
    else:
        serve()
