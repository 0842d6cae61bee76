"""Take a tuned prompt out of afnio, and use it with the bare SDK.

    python examples/export_prompt.py [--model openai/gpt-4o-mini]

The exported module is plain Python and needs nothing. Markdown is for people, JSON for
other languages.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from _models import choose_models, model_options

import afnio.cognitive as cog
from afnio import Variable
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.exporting import export_program

options = model_options().parse_args()
(model,) = choose_models("positive", options=options)
task = Parameter("Name the sentiment in one word.", role="system prompt")
shots = Demonstrations([["It broke again.", "negative"]], role="examples")
messages = [
    {"role": "system", "content": [task]},
    {"role": "demonstrations", "content": [shots]},
    {"role": "user", "content": [Variable("Message: {message}", role="message")]},
]
program = cog.ChatCompletion(model, messages, temperature=0)  # say it was tuned

folder = Path(tempfile.mkdtemp())
print(export_program(program, folder / "prompt.md").read_text(), "\n---")

path = export_program(program, folder / "prompt.py")
spec = importlib.util.spec_from_file_location("prompt", path)
prompt = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prompt)  # in your project: import prompt
for turn in prompt.messages(message="I love it!"):
    print(f"{turn['role']:>9}: {turn['content']}")

if (options.model or "").startswith("openai/"):
    from openai import OpenAI

    key = os.environ.get("OPENAI_API_KEY", "none")  # servers of your own need none
    reply = OpenAI(api_key=key, base_url=options.base_url).chat.completions.create(
        model=options.model.removeprefix("openai/"),
        messages=prompt.messages(message="I love it!"),
    )
    print(f"the bare SDK: {reply.choices[0].message.content}")
