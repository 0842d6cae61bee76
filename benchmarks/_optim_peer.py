"""One run of one peer: started by `benchmarks._optim_peers` with the peer's Python."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from typing import Final

from benchmarks._optim_server import Server, SpentError

_RUN: Final = {
    "textgrad": ("benchmarks._optim_textgrad", "textgrad"),
    "gepa": ("benchmarks._optim_gepa", "gepa"),
    "dspy GEPA": ("benchmarks._optim_dspy", "dspy_gepa"),
    "dspy MIPROv2": ("benchmarks._optim_dspy", "dspy_mipro"),
}
"""Where each peer is run: module and function of a `Server`."""


def main(argument: str) -> None:
    """Run a peer and print what it found, as one line."""
    wanted = json.loads(argument)
    server, note = Server(wanted), ""
    server.note(server.world.seed_prompts)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            module, function = _RUN[wanted["peer"]]
            getattr(importlib.import_module(module), function)(server)
        except SpentError:
            pass
        except Exception as error:  # noqa: BLE001 - a peer's failure is a finding
            if "budget is spent" not in repr(error):
                note = f"{type(error).__name__}: {str(error)[:200]}"
    print(
        "FOUND "
        + json.dumps({"trail": server.trail, "calls": server.calls(), "note": note})
    )


if __name__ == "__main__":
    main(sys.argv[1])
