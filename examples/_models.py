"""One option for every example: scripted replies, or a model of your choice.

    python examples/training_loop.py                          # scripted, no key
    python examples/training_loop.py --model openai/gpt-4o-mini
    python examples/training_loop.py --model openai/qwen3 --base-url http://127.0.0.1:8000/v1

With scripted replies an example shows how afnio works, not how well a model does.
"""

from __future__ import annotations

import argparse
from typing import Any

from afnio.models import ChatCompletionModel, get_model
from afnio.models.testing import ScriptedModel


def choose_models(*scripts: Any) -> list[ChatCompletionModel]:
    """Return a client for each script: the scripts, or the model of ``--model``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="provider/model instead of scripted replies")
    parser.add_argument("--base-url", help="an OpenAI-compatible server")
    options = parser.parse_args()
    if options.model is None:
        print("(scripted replies; choose a model with --model provider/name)\n")
        return [ScriptedModel(script) for script in scripts]
    where = {"base_url": options.base_url} if options.base_url else {}
    return [get_model(options.model, **where)] * len(scripts)
