"""One option for every example: scripted replies, or a model of your choice.

    python examples/training_loop.py                          # scripted, no key
    python examples/training_loop.py --model openai/gpt-4o-mini
    python examples/training_loop.py --model openai/qwen3 --base-url http://127.0.0.1:8000/v1

With scripted replies an example shows how afnio works, not how well a model does.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from afnio.errors import AfnioError
from afnio.models import ChatCompletionModel, get_model
from afnio.models.testing import ScriptedModel


def model_options() -> argparse.ArgumentParser:
    """Return a parser of the options that all examples have."""
    about = getattr(sys.modules["__main__"], "__doc__", None) or ""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--model", help="provider/model instead of scripted replies")
    parser.add_argument("--base-url", help="an OpenAI-compatible server")
    return parser


def choose_models(
    *scripts: Any, options: argparse.Namespace | None = None
) -> list[ChatCompletionModel]:
    """Return a client for each script: the scripts, or the model of ``--model``."""
    chosen = model_options().parse_args() if options is None else options
    if chosen.model is None:
        print("(scripted replies; choose a model with --model provider/name)\n")
        return [ScriptedModel(script) for script in scripts]
    where = {"base_url": chosen.base_url} if chosen.base_url else {}
    try:
        return [get_model(chosen.model, **where)] * len(scripts)
    except AfnioError as error:
        raise SystemExit(f"--model {chosen.model}: {error}") from error
