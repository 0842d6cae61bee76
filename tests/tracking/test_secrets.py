"""What a command line is shown with instead of keys."""

import pytest

from afnio.tracking._secrets import without_secrets


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--hf-token", "hunter2"], ["--hf-token", "***"]),
        (["--auth", "Bearer_hunter2"], ["--auth", "***"]),
        (["OPENAI_API_KEY=hunter2", "x.py"], ["OPENAI_API_KEY=***", "x.py"]),
        (["--url", "https://user:hunter2@h/v1"], ["--url", "https://***@h/v1"]),
        (["--dsn=postgres://u:hunter2@h/db"], ["--dsn=postgres://***@h/db"]),
        (["https://x/v1?key=a&v=b#top"], ["https://x/v1?key=***&v=***#top"]),
        (["AIza" + "x" * 35], ["***"]),
        (["--config", "api_key=hunter2"], ["--config", "api_key=***"]),
        (["--set=api_key=hunter2"], ["--set=api_key=***"]),
        (['{"api_key": "hunter2", "n": 1}'], ['{"api_key": "***", "n": 1}']),
        (["-H", "X-Api-Key: hunter2"], ["-H", "X-Api-Key: ***"]),
        (["-H", "x: Basic dXM6"], ["-H", "x: Basic ***"]),
        (["-k", "hunter22"], ["-k", "***"]),
    ],
)
def test_keys_are_hidden(given, shown):
    """By the option's name, the shape, or because a variable holds it."""
    assert list(without_secrets(given, {"MY_TOKEN": "hunter22"})) == shown


@pytest.mark.parametrize(
    "word",
    [
        "train.py",
        "--author=me",
        "--max-tokens=5",
        "--out=runs/a",
        "https://x.org/@me/page",
        "key.py",
        "task-12345678",
        "tokens: 5",
    ],
)
def test_all_else_is_kept(word):
    """So that the command can be run again."""
    assert list(without_secrets([word, "5"], {"HOME": "train.py"})) == [word, "5"]
