"""No key in anything that a run writes, logs, shows or raises."""

import json
import logging
from contextlib import closing

import pytest
from werkzeug import Response

import afnio
import afnio.cognitive as cog
import afnio.cognitive.functional as F
from afnio import Variable, tracking
from afnio.errors import AuthError
from afnio.models import Budget, ReplyCache, RetryPolicy, use_cache
from afnio.models._cache_admin import export_jsonl
from afnio.models.openai import OpenAI
from afnio.models.testing import RecordedModel, feedback, in_tags
from afnio.optim import TGD
from afnio.tracking.report import write_report
from afnio.trainer import Trainer

KEY = "topsecret-0123456789abcdef"
HEADER = "headersecret-0123456789"
PASSWORD = "passwordsecret-0123456789"
SECRETS = (KEY, HEADER, PASSWORD)
DATA = [(Variable(["one", "two"], "question"), Variable(["yes", "no"], "answer"))]


class Program(cog.Module):
    """One model call, judged by exact match."""

    def __init__(self, client):
        super().__init__()
        self.prompt = cog.Parameter("Answer.", role="system prompt", requires_grad=True)
        self.client = client

    def step(self, batch):
        messages = [
            {"role": "system", "content": [self.prompt]},
            {"role": "user", "content": [Variable("{text}", "message")]},
        ]
        said = F.chat_completion(self.client, messages, inputs={"text": batch[0]})
        return {"loss": F.exact_match_evaluator(said, batch[1])}

    def training_step(self, batch, batch_idx):
        return self.step(batch)

    def validation_step(self, batch, batch_idx):
        return self.step(batch)

    def configure_optimizers(self):
        return TGD(self.parameters(), model_client=self.client)


class Server:
    """Answers in every role; some answers are errors that repeat the headers."""

    def __init__(self):
        self.asked = 0
        self.seen = ""
        self.refuses = False

    def __call__(self, request):
        """Answer one request."""
        self.asked += 1
        self.seen += str(request.headers)
        if self.refuses or self.asked % 3 == 0:
            words = f"trouble with {request.headers.get('authorization')} {KEY}"
            status = 401 if self.refuses else 500
            return Response(
                json.dumps({"error": {"message": words}}), status, mimetype="text/json"
            )
        text = self.answer(request.get_json())
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        body = {"model": "m", "choices": [choice], "usage": usage}
        return Response(json.dumps(body), mimetype="application/json")

    def answer(self, body):
        """Return what the role is asked for."""
        messages = body.pop("messages")
        if "response_format" in body:
            return feedback("be brief")(messages, **body)
        if "<new_" in json.dumps(messages):
            return in_tags("Answer yes or no.")(messages)
        return "perhaps"


def train(client, root):
    """Train, look at everything there is to look at, and return it as text."""
    recorded = RecordedModel(root / "recording.json", record_from=client)
    trainer = Trainer(max_epochs=1, default_root_dir=root, enable_progress_bar=False)
    cache, budget = ReplyCache(root / "cache.sqlite"), Budget(calls=1000)
    program = Program(client)
    tracking.init("me", "Secrets")
    with closing(cache), use_cache(cache), budget:
        with afnio.set_backward_model_client(client):
            trainer.fit(program, DATA, DATA)
        recorded.chat([{"role": "user", "content": "Hi"}])
    assert program.prompt.data == "Answer yes or no."
    export_jsonl(root / "cache.sqlite", root / "export.jsonl")
    tracking.finish()
    run = next(root.rglob("run.json")).parent
    write_report(run, root / "report.html")
    shown = [client, client.get_config(), client.get_usage_by_role(), client.identity]
    return f"{shown}{budget.state_dict()}{trainer.history}{program.state_dict()}"


@pytest.mark.loopback
def test_nothing_that_a_run_writes_holds_a_key(
    httpserver, tmp_path, monkeypatch, caplog, capfd
):
    """Cache, recording, checkpoints, events, prompts, report, logs and errors."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AFNIO_RUNS", str(tmp_path / "runs"))
    server = Server()
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(server)
    url = httpserver.url_for("/v1").replace("://", f"://user:{PASSWORD}@")
    client = OpenAI(
        api_key=KEY,
        base_url=url,
        model="m",
        default_headers={"X-Token": HEADER},
        retry=RetryPolicy(base_s=0.0001),
    )
    known = train(client, tmp_path)
    server.refuses = True
    with pytest.raises(AuthError) as caught:
        client.chat([{"role": "user", "content": "Hi"}])
    client.close()
    assert HEADER in server.seen
    known += f"{caught.value!r}{caught.value.__cause__!r}{capfd.readouterr()}"
    # the HTTP library's own lines hold addresses as they are asked
    ours = ("afnio", "openai")
    known += "".join(r.getMessage() for r in caplog.records if r.name.startswith(ours))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    endings = {path.suffix for path in files}
    assert {".json", ".jsonl", ".sqlite", ".html", ".txt"} <= endings
    for secret in SECRETS:
        assert secret not in known
        for path in files:
            assert secret.encode() not in path.read_bytes(), path
