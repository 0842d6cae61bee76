"""The OpenAI client's other kinds of call: embeddings and plain completions."""

import pytest

from afnio.errors import InputTypeError
from afnio.models import ReplyCache, use_cache


@pytest.mark.loopback
def test_embeddings_and_completions_work(httpserver, make_openai):
    """Texts are embedded in order and continued, with usage."""
    rows = [{"object": "embedding", "index": i, "embedding": [i, 0.5]} for i in (1, 0)]
    httpserver.expect_request("/v1/embeddings").respond_with_json(
        {
            "object": "list",
            "data": rows,
            "model": "e",
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }
    )
    httpserver.expect_request("/v1/completions").respond_with_json(
        {
            "id": "1",
            "object": "text_completion",
            "created": 1,
            "model": "c",
            "choices": [
                {
                    "index": 0,
                    "text": " world",
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
        }
    )
    client = make_openai()
    client.set_price("e", input=0, output=0)
    client.set_price("c", input=0, output=0)
    assert client.embed(["a", "b"], model="e", encoding_format="float") == [
        [0.0, 0.5],
        [1.0, 0.5],
    ]
    assert client.complete("Hello", model="c") == " world"
    assert client.embed([]) == []
    by_model = client.get_usage_by_role()["forward"]
    assert by_model["e"]["prompt_tokens"] == 4
    assert (by_model["e"]["estimated_calls"], by_model["c"]["estimated_calls"]) == (
        0,
        1,
    )
    with pytest.raises(InputTypeError, match="list of texts"):
        client.embed("a")


@pytest.mark.loopback
def test_embeddings_can_be_cached(httpserver, make_openai, tmp_path):
    """Vectors come back from a cache as they were."""
    row = {"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_json(
        {
            "object": "list",
            "data": [row],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
    )
    ask = {"model": "text-embedding-3-small", "encoding_format": "float"}
    for _ in range(2):
        with use_cache(ReplyCache(tmp_path / "c.sqlite")):
            assert make_openai().embed(["a"], **ask) == [[0.25, 0.5]]
