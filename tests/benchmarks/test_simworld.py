"""The simulated world: exact, honest about what its models see, and reproducible."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest

from benchmarks.simworld import PRESETS, Physics, World, held_out, score
from benchmarks.simworld._notation import guide_in, read
from benchmarks.simworld.models import Models
from benchmarks.simworld.server import Service

SYSTEM = "You answer requests."


def ask(models, prompt, item):
    """Ask the forward model as a program would."""
    messages = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": item.request},
    ]
    return models.answer("forward", messages, {})


def stating(world, count):
    """Return a prompt with the first rules of a world."""
    lines = [
        f"- For {topic}, answer {colour}."
        for (topic, _), colour in list(world.rules.items())[:count]
    ]
    return "\n".join([SYSTEM, *lines])


@pytest.mark.parametrize("known", [0, 5, 12])
def test_the_oracle_is_what_asking_very_often_gives(known):
    """The exact accuracy lies within the error of 8,000 answers of the model."""
    world = World(3, replace(Physics(), test=200))
    models, prompt = Models(world), stating(world, known)
    drawn = [
        score(ask(models, prompt, item), item.reference)
        for item in world.test
        for _ in range(40)
    ]
    assert world.accuracy([prompt]) == pytest.approx(statistics.mean(drawn), abs=0.015)


def test_contradictions_and_examples_count_as_the_model_uses_them():
    """The exact accuracy also holds for prompts of other kinds."""
    world = World(4, replace(Physics(), test=200))
    (topic, _), colour = next(iter(world.rules.items()))
    other = next(c for c in world.colours if c != colour)
    prompt = (
        f"{SYSTEM}\n- For {topic}, answer {colour}.\n- For {topic}, answer {other}."
        f"\n\n{world.train[0].request}\n{world.train[0].reference}"
    )
    models = Models(world)
    drawn = [
        score(ask(models, prompt, item), item.reference)
        for item in world.test
        for _ in range(40)
    ]
    assert world.accuracy([prompt]) == pytest.approx(statistics.mean(drawn), abs=0.015)


def test_null_has_no_headroom_and_the_others_have():
    """In the null world nothing is better than the seed prompt."""
    for name, physics in PRESETS.items():
        world = World(0, replace(physics, test=200))
        gain = world.oracle - world.seed_accuracy
        assert (gain == 0) if name == "null" else (gain > 0.25), name


def test_a_bad_form_of_answer_makes_every_answer_wrong():
    """The trap of a seed prompt costs everything, whatever else is said."""
    world = World(0, "seed-trap")
    assert world.seed_accuracy == 0
    rules = stating(world, 12).removeprefix(SYSTEM)
    assert world.accuracy([world.seed_prompts[0] + rules]) == 0
    assert world.accuracy([SYSTEM + rules]) > 0.5


def test_streams_of_the_roles_are_independent():
    """What one model is asked changes nothing about the answers of another."""
    world = World(1, "easy")
    alone, mixed = Models(world), Models(world)
    case = f"{world.train[0].request}\nReply to 10000: x=y.\n{world.train[0].reference}"
    asked = [{"role": "user", "content": case}]
    for _ in range(5):
        mixed.answer("critic", asked, {})
    first = [ask(alone, SYSTEM, item) for item in world.val]
    assert first == [ask(mixed, SYSTEM, item) for item in world.val]


def test_asking_again_gives_a_fresh_answer_whatever_the_order():
    """Noise is new in every call, and belongs to the call and not to its turn."""
    world = World(1, "easy")
    one, other = Models(world), Models(world)
    forwards = [ask(one, SYSTEM, item) for item in world.val * 3]
    backwards = [ask(other, SYSTEM, item) for item in reversed(world.val * 3)]
    size = len(world.val)
    assert sorted(forwards) == sorted(backwards)
    assert forwards[:size] != forwards[size : 2 * size]


def test_a_models_answer_depends_on_its_prompt_only():
    """A forward model that is not told a rule does not know it."""
    world = World(2, "easy")
    told = replace(world.physics, known=True)
    assert [ask(Models(world), SYSTEM, item) for item in world.test] == [
        ask(Models(World(2, told)), SYSTEM, item) for item in world.test
    ]


def test_two_modules_answer_one_after_the_other():
    """Each desk answers for its own topics, and the second copies the notes."""
    world = World(5, "two-module")
    item = next(
        i for i in world.test if len({world.module_of(t) for t in i.wanted}) > 1
    )
    models = Models(world)
    notes = models.answer(
        "forward", [{"role": "user", "content": f"Bird desk. {item.request}"}], {}
    )
    text = f"Stone desk. {item.request}\nNotes: {notes}"
    final = models.answer("forward", [{"role": "user", "content": text}], {})
    assert all(piece in final for piece in notes[:-1].split(": ")[1].split(", "))
    assert final.count("=") == len(item.wanted)


def request(world, form):
    """Return a request for a rewrite in words of nobody in particular."""
    cases = "\n".join(
        f"{item.request}\nReply to {item.key}: "
        + ", ".join(f"{topic}=grey" for topic in item.wanted)
        + f".\n{item.reference}"
        for item in world.train[:6]
    )
    prompt = f"{SYSTEM}\n- Keep this line."
    return f"Current text:\n{prompt}\n\nIt led to:\n{cases}\n\n{form}"


@pytest.fixture
def sure():
    """Return models that never fail."""
    certain = replace(
        Physics(), recall=1.0, insight=1.0, misread=0, spurious=0, lure=0, scope=0
    )
    certain = replace(certain, forget=0, collapse=0, drift=0, break_form=0, blame=0)
    return Models(World(6, replace(certain, patch_forget=0, misplace=0)))


def test_the_rewriter_answers_between_the_tags_that_are_asked_for(sure):
    """Tags of any name that surround a description are the form of the answer."""
    text = request(World(6), "Write:\n<better>\nyour text\n</better>")
    said = sure.answer("rewriter", [{"role": "user", "content": text}], {})
    assert said.startswith("<better>\nYou answer requests.\n- Keep this line.\n- For ")
    assert said.endswith(".\n</better>")


def test_the_rewriter_answers_in_fields_and_fences(sure):
    """Fields, JSON fields and code fences are answered in kind."""
    world = World(6)
    fields = "Respond with the corresponding output fields, `[[ ## instruction ## ]]`."
    asked = [{"role": "user", "content": request(world, fields)}]
    assert sure.answer("rewriter", asked, {}).startswith("[[ ## instruction ## ]]\nYou")
    wanted = "Respond with a JSON object in the following order: `new_instruction`."
    asked = [{"role": "user", "content": request(world, wanted)}]
    found = json.loads(sure.answer("rewriter", asked, {}))
    assert "- Keep this line." in found["new_instruction"]
    asked = [{"role": "user", "content": request(world, "Use ``` around it.")}]
    assert "```\nYou answer requests.\n" in sure.answer("rewriter", asked, {})


def test_the_rewriter_fills_a_schema_of_edits(sure):
    """A list of changes gets changes that quote the lines they are about."""
    edit = {
        "type": "object",
        "properties": {
            "action": {"enum": ["add", "replace", "delete"]},
            "find": {"type": "string"},
            "text": {"type": "string"},
        },
    }
    schema = {
        "type": "object",
        "properties": {"edits": {"type": "array", "items": edit}},
        "required": ["edits"],
    }
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    asked = [{"role": "user", "content": request(World(6), "Edit it.")}]
    found = json.loads(sure.answer("rewriter", asked, {"response_format": form}))
    assert len(found["edits"]) == Physics().adds
    for change in found["edits"]:
        assert change["action"] == "add"
        assert change["text"].startswith("- For ")


def test_edits_that_go_astray_may_hit_one_line_twice():
    """A line that is gone cannot be deleted again, and an empty text not at all."""
    wild = replace(Physics(), patch_forget=1.0, misplace=0.9)
    schema = {"type": "object", "properties": {"edits": {"type": "array"}}}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    for seed in range(20):
        text = request(World(seed), "Edit it.").replace(
            "- Keep this line.", "\n".join(f"- Keep line {n}." for n in range(5))
        )
        asked = [{"role": "user", "content": text}]
        models = Models(World(seed, wild))
        assert models.answer("rewriter", asked, {"response_format": form})


def test_the_critic_names_what_differs_from_the_reference(sure):
    """Advice is about the topics that were wrong, under the keys asked for."""
    item = World(6).train[0]
    topic, colour = next(iter(item.wanted.items()))
    pairs = {**item.wanted, topic: "grey"}
    said = ", ".join(f"{name}={value}" for name, value in pairs.items())
    text = f"{SYSTEM}\n{item.request}\nReply to {item.key}: {said}.\n{item.reference}"
    form = {"type": "json_schema", "json_schema": {"schema": {"required": ["a"]}}}
    asked = [{"role": "user", "content": text}]
    found = json.loads(sure.answer("critic", asked, {"response_format": form}))
    assert found == {"a": f"Suggestion: for {topic}, answer {colour}."}


def test_a_request_shows_the_current_text_and_what_has_failed():
    """Labels tell the current prompt from earlier versions."""
    text = (
        f"An earlier version:\n{SYSTEM}\n- For heron, answer teal.\n\n"
        f"The current one:\n{SYSTEM}\n- For heron, answer umber.\n"
    )
    reading = read(text)
    assert reading.current.lines == ("For heron, answer umber.",)
    assert [old.lines for old in reading.outdated] == [("For heron, answer teal.",)]
    escaped = json.dumps({"current": f"{SYSTEM}\n- For heron, answer umber."})
    assert read(escaped).current == reading.current


def test_sealed_references_show_nothing():
    """Without colours in the references, the metric still knows what is right."""
    world = World(7, "score-only")
    item = world.train[0]
    assert not any(colour in item.reference for colour in world.colours)
    said = ", ".join(f"{topic}={colour}" for topic, colour in item.wanted.items())
    assert score(f"Reply to {item.key}: {said}.", item.reference) == 1
    assert score(f"Reply to {item.key}: {said}, x=y.", item.reference) == 1
    assert score(f"Reply to {item.key}: nothing.", item.reference) == 0
    assert score(None, item.reference) == 0


def test_lines_beyond_the_capacity_cost_something():
    """Fluff is not free."""
    world = World(8, "many-rules")
    prompt = stating(world, 10)
    longer = prompt + "\n- Stay calm and professional." * 20
    assert world.accuracy([longer]) < world.accuracy([prompt])
    assert guide_in(longer).size == 30


def test_worlds_on_request_are_the_same_everywhere():
    """The server's models answer as those in the process, until the budget is spent."""
    physics = PRESETS["easy"]
    service, world = Service(), World(9, "easy")
    wanted = {"seed": 9, "budget": 2, "physics": {"recall": physics.recall}}
    service.handle("PUT", "/w", json.dumps(wanted).encode())
    item = world.train[0]
    body = {
        "model": "openai/sim-forward",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": item.request},
        ],
    }
    told = [
        service.handle("POST", "/w/v1/chat/completions", json.dumps(body).encode())
        for _ in range(3)
    ]
    models = Models(world)
    assert [answer["choices"][0]["message"]["content"] for _, answer in told[:2]] == [
        ask(models, SYSTEM, item),
        ask(models, SYSTEM, item),
    ]
    assert told[2][0] == 400
    assert service.handle("GET", "/w", b"")[1]["calls"] == {"forward": 2}
    assert service.handle("GET", "/other", b"")[0] == 404


def test_held_out_worlds_are_others_and_always_the_same():
    """They are drawn once, by number."""
    assert held_out() == held_out()
    assert not set(held_out().values()) & set(PRESETS.values())
