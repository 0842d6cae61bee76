"""Tests of afnio.cognitive.modules.tool: schemas, checks, and how calls run."""

import asyncio
import copy
import functools
import threading
from typing import Annotated, Literal

import pydantic
import pytest

import afnio.cognitive as cog
from afnio import Variable
from afnio._dispatch import gather, run_sync
from afnio.autodiff._tool_calls import as_content
from afnio.models import blocks


class Place(pydantic.BaseModel):
    """Where something is."""

    title: str
    zip: int = 0


def search(  # noqa: D417 - the others are annotated
    query: str,
    k: Annotated[int, "How many, at most."] = 3,
    order: Literal["new", "old"] = "new",
    near: Place | None = None,
) -> list[str]:
    """Search the archive.

    It knows everything before 1990.

    Args:
        query: Words to look for.

    Returns:
        Titles.
    """
    return [query, str(k), order, str(near)]


def test_schema_from_signature_and_docstring():
    """Types, defaults and descriptions are found; made-up titles are not."""
    tool = cog.Tool(search)
    schema = tool.parameters_schema
    assert tool.name == "search"
    assert tool.description.data == (
        "Search the archive.\n\nIt knows everything before 1990."
    )
    assert schema["required"] == ["query"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["query"] == {
        "type": "string",
        "description": "Words to look for.",
    }
    assert schema["properties"]["k"]["description"] == "How many, at most."
    assert schema["properties"]["order"]["enum"] == ["new", "old"]
    assert set(schema["$defs"]["Place"]["properties"]) == {"title", "zip"}
    assert "title" not in schema


def test_arguments_are_converted_and_defaults_left_to_the_function():
    """JSON's numbers, lists and objects become what the annotations say."""
    check = cog.Tool(search).spec().check
    found = check({"query": "a", "k": "5", "near": {"title": "x"}})
    assert found == {"query": "a", "k": 5, "near": Place(title="x")}


def test_argument_names_that_pydantic_reserves():
    """They are the function's business."""

    def odd(schema: str, model_config: str, _private: int = 0, json: str = "") -> str:
        """Do it."""
        return schema + model_config + json

    tool = cog.Tool(odd)
    assert list(tool.parameters_schema["properties"]) == [
        "schema",
        "model_config",
        "_private",
        "json",
    ]
    arguments = {"schema": "a", "model_config": "b", "_private": 1}
    assert tool.spec().check(arguments) == arguments


def test_defaults_that_json_has_no_word_for():
    """They stay the function's, and the schema says nothing of them."""

    def wait(s: float = float("inf"), until: object = Place) -> None:
        """Wait."""

    schema = cog.Tool(wait).parameters_schema
    assert "required" not in schema
    assert "default" not in schema["properties"]["until"]


class Shop:
    """Sell things."""

    def __init__(self):
        self.lock = threading.Lock()

    def price_of(self, thing: str) -> float:
        """Look a price up."""
        return 1.5

    def __call__(self, thing: str) -> str:
        return "sold " + thing


def test_methods_objects_and_partials():
    """Anything that can be called can be a tool."""
    shop = Shop()
    assert cog.Tool(shop.price_of).name == "price_of"
    sold = cog.Tool(shop)
    assert (sold.name, sold.description.data) == ("shop", "Sell things.")
    assert list(sold.parameters_schema["properties"]) == ["thing"]
    some = cog.Tool(functools.partial(search, k=1), "Search.")
    assert some.name == "search"
    assert run(some, query="a") == ["a", "1", "new", "None"]


def run(tool, **arguments):
    """Run a tool as an agent does."""
    return run_sync(tool.spec().run(arguments))


def test_plain_and_async_functions_run():
    """Plain ones on a thread of their own, beside all others."""

    async def twice(x: int) -> int:
        """Double."""
        await asyncio.sleep(0)
        return 2 * x

    def where() -> str:
        """Say where this runs."""
        return threading.current_thread().name

    assert run(cog.Tool(twice), x=2) == 4
    assert run(cog.Tool(where)) == "afnio-blocking"


def test_one_at_a_time():
    """With max_concurrent=1 calls wait for each other, and each has its full time."""
    inside, most = [], []

    def work() -> None:
        """Work."""
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.005)
        inside.pop()

    tool = cog.Tool(work, max_concurrent=1, timeout_s=5)

    async def main():
        await gather(tool.spec().run({}) for _ in range(4))

    run_sync(main())
    assert most == [1, 1, 1, 1]


def test_no_limit():
    """With max_concurrent=None all calls may meet."""
    meeting = threading.Barrier(40, timeout=20)

    def meet() -> None:
        """Meet."""
        meeting.wait()

    tool = cog.Tool(meet, max_concurrent=None)

    async def main():
        await gather(tool.spec().run({}) for _ in range(40))

    run_sync(main())


def test_a_module_can_be_a_tool():
    """Its parameters belong to the agent's; what it returns is awaited."""

    class Greeter(cog.Module):
        """Greet somebody."""

        def __init__(self):
            super().__init__()
            self.word = cog.Parameter("Hello, ", role="greeting")

        def forward(self, name: str) -> Variable:
            return self.word + name

    tool = cog.Tool(Greeter())
    assert tool.name == "greeter"
    assert [name for name, _ in tool.named_parameters()] == ["fn.word"]
    assert run(tool, name="Ann").data == "Hello, Ann"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: cog.Tool(3), TypeError, "made of a function, got int"),
        (lambda: cog.Tool(lambda x: x, "d"), ValueError, "name='lambda'"),
        (lambda: cog.Tool(search, name="a b!"), ValueError, "name='a_b'"),
        (lambda: cog.Tool(search, name="x" * 65), ValueError, "1 to 64"),
        (lambda: cog.Tool(search, timeout_s=0), ValueError, "timeout_s"),
        (lambda: cog.Tool(search, timeout_s="1"), ValueError, "timeout_s"),
        (lambda: cog.Tool(search, 3), TypeError, "description"),
        (lambda: cog.Tool(search, max_concurrent=0), ValueError, "max_concurrent"),
        (lambda: cog.Tool(undocumented), ValueError, "no description"),
        (lambda: cog.Tool(print), TypeError, "'print'"),
        (lambda: cog.Tool(Shop.price_of), TypeError, "method without its object"),
        (lambda: cog.Tool(starred), TypeError, r"'\*\*more'"),
        (lambda: cog.Tool(unjson), TypeError, "no form for"),
        (lambda: cog.Tool(unknown), TypeError, "cannot be read"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(make, error, words):
    """The error says what to do."""
    with pytest.raises(error, match=words):
        make()


def undocumented(x: int) -> int:  # noqa: D103 - on purpose
    return x


def starred(**more: int) -> None:
    """Take all."""


def unjson(lock: threading.Event) -> None:
    """Wait."""


def unknown(x: "Nowhere") -> None:  # noqa: F821 - on purpose
    """Do it."""


def test_a_description_can_be_a_parameter():
    """It is learned, saved and loaded like any other; plain ones are saved too."""
    learned = cog.Tool(search, cog.Parameter("Search."))
    assert [name for name, _ in learned.named_parameters()] == ["description"]
    assert "search" in learned.description.role
    plain = cog.Tool(search)
    assert list(plain.parameters()) == []
    assert list(plain.state_dict()) == ["description"]


def test_copies_share_the_function():
    """What the function holds, a lock for example, is not copied."""
    shop = Shop()
    tool = cog.Tool(shop, cog.Parameter("Sell."), max_concurrent=1)
    run(tool, thing="a")
    twin = copy.deepcopy(tool)
    assert twin.fn is shop
    assert twin.description is not tool.description
    assert run(twin, thing="b") == "sold b"


def test_results_in_words():
    """Text as it is; objects as JSON; blocks as blocks; nothing is said to be none."""
    image = blocks.image(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    assert as_content("é", 9) == "é"
    assert as_content({"a": [1, "é"]}, 99) == '{"a": [1, "é"]}'
    assert as_content(Place(title="x"), 99) == '{"title":"x","zip":0}'
    assert as_content(Variable(["a"]), 9) == '["a"]'
    assert as_content(True, 9) == "true"
    assert as_content(image, 9) == [image]
    assert as_content([blocks.text("a" * 30), image], 9)[1] == image
    assert "cut here" in as_content([blocks.text("a" * 30), image], 9)[0]["text"]
    assert "nothing" in as_content(None, 99)
    assert as_content(b"raw", 99) == "b'raw'"
