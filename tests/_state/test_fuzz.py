"""Thousands of damaged files: each loads or is refused by name, none runs anything."""

from __future__ import annotations

import io
import json
import random
import sys
import zipfile
from collections import Counter

import afnio
import afnio.cognitive as cog
from afnio._state import legacy_values as _legacy_values  # noqa: F401 - loads now
from afnio.cognitive.parameter import Demonstrations, Parameter
from afnio.errors import FileFormatError
from afnio.models.testing import ScriptedModel
from afnio.serialization import load_legacy

FORBIDDEN = ("exec", "compile", "import", "os.system", "subprocess.Popen", "ctypes")
HOSTILE = ("os.system", "__import__", "builtins:eval", "../../etc/x", "{0.__class__}")

watching = False
events = []


def watch(event, arguments):
    """Note what no file may cause while one is being loaded."""
    if watching and event.startswith(FORBIDDEN):
        events.append((event, arguments))


sys.addaudithook(watch)


class Program(cog.Module):
    """Every kind of thing that state holds."""

    def __init__(self):
        super().__init__()
        self.task = Parameter("Answer {question}.", role="system prompt")
        self.task.append_grad(afnio.Variable("Be brief.", role="feedback"))
        self.shots = Demonstrations([["1 + 1?", "2"]], role="examples")
        messages = [{"role": "user", "content": [self.task]}]
        self.chat = cog.ChatCompletion(ScriptedModel("x"), messages, temperature=0)
        self.register_function("score", len)


def samples():
    """Return files of each form: name → bytes."""
    state = {"epoch": 3, "agent_state_dict": Program().state_dict(), 1: (2.5, None)}
    archive = io.BytesIO()
    afnio.save(state, archive)
    text = zipfile.ZipFile(io.BytesIO(archive.getvalue())).read("afnio.json")
    return {"archive": archive.getvalue(), "json": text}


SAMPLES = samples()
EQUAL = {name: repr(afnio.load(io.BytesIO(data))) for name, data in SAMPLES.items()}


def mutate_bytes(data, rng):
    """Replace, remove or repeat a few bytes."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        place, size = rng.randrange(len(result)), rng.randint(1, 40)
        kind = rng.randrange(3)
        if kind == 0:
            result[place] = rng.randrange(256)
        elif kind == 1:
            del result[place : place + size]
        else:
            result[place:place] = result[place : place + size]
    return bytes(result)


def mutate_tree(text, rng):
    """Put one part of the document in another's place, or something hostile."""
    document = json.loads(text)
    places = list(nodes(document))
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(places)
        other, name = rng.choice(places)
        new = rng.choice([other[name], rng.choice(HOSTILE), {"$type": "function"}, -1])
        holder[key] = json.loads(json.dumps(new))
    return json.dumps(document).encode()


def nodes(value):
    """Yield the place of every value in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(pairs):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from nodes(item)


def mutant(rng):
    """Return a damaged file, and what it was made from."""
    kind = rng.choice(["archive", "json", "tree", "packed"])
    if kind in SAMPLES:
        return kind, mutate_bytes(SAMPLES[kind], rng)
    content = mutate_tree(SAMPLES["json"], rng)
    if kind == "tree":
        return kind, content
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("afnio.json", content)
    return kind, buffer.getvalue()


def check(path, kind, data, reader):
    """Load one file; return whether it was refused."""
    global watching
    path.write_bytes(data)
    watching, refusal = True, None
    try:
        found = reader(path)
    except FileFormatError as error:
        refusal = str(error)
    finally:
        watching = False
    if refusal is not None:
        assert refusal.startswith(str(path))
    elif kind == "archive":  # its checksum sees all damage that matters
        assert repr(found) == EQUAL[kind]
    return refusal is not None


def fuzz(path, seeds):
    """Try one file for each seed."""
    events.clear()
    refused = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        kind, data = mutant(rng)
        reader = load_legacy if rng.random() < 0.1 else afnio.load
        refused[kind, check(path, kind, data, reader)] += 1
    assert events == []
    assert sum(count for (_, was), count in refused.items() if was) > len(seeds) / 2
    assert any(not was for _, was in refused)  # some damage is harmless


def test_damaged_files_load_or_are_refused_by_name(tmp_path):
    """10,000 of them, and the same ones each time."""
    fuzz(tmp_path / "state.afnio", range(10_000))


def test_the_watch_sees_what_it_must_see():
    """A file that ran something would be caught."""
    global watching
    events.clear()
    watching = True
    try:
        eval("1 + 1")
    finally:
        watching = False
    assert {event for event, _ in events} >= {"exec", "compile"}
