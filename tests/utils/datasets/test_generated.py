"""Tests of afnio.utils.datasets.generated: rules, splits, and answers checked anew."""

import ast
import datetime as dt
import re

import pytest

from afnio.errors import InputTypeError, InputValueError
from afnio.utils.datasets import GeneratedTask

every_task = pytest.mark.parametrize("task", GeneratedTask.TASKS)


def pairs(task, split="train", size=60, **options):
    """Return questions and answers as texts."""
    samples = GeneratedTask(task, split, size, **options)
    return [(question.data, answer.data) for question, answer in samples]


@every_task
def test_the_same_seed_gives_the_same_questions(task):
    """And another seed others."""
    assert pairs(task, seed=1) == pairs(task, seed=1)
    assert pairs(task, seed=1) != pairs(task, seed=2)


@every_task
def test_splits_share_no_question_whatever_the_seed(task):
    """A question belongs to one split, so nothing leaks between runs either."""
    found = {
        split: {q for seed in range(3) for q, _ in pairs(task, split, seed=seed)}
        for split in ("train", "val", "test")
    }
    assert not found["train"] & found["test"]
    assert not found["train"] & found["val"]
    assert not found["val"] & found["test"]


@every_task
def test_questions_grow_with_difficulty(task):
    """Harder questions are longer, or reach further."""
    easy, hard = pairs(task), pairs(task, difficulty=3)
    assert sum(len(q) + len(a) for q, a in hard) > sum(len(q) + len(a) for q, a in easy)


def test_formulas_have_their_value():
    """Python agrees."""
    for question, answer in pairs("boolean_expressions", difficulty=3):
        text = question.removeprefix("Evaluate: ").removesuffix(" is")
        assert str(eval(text, {})) == answer
    for question, answer in pairs("multistep_arithmetic", difficulty=2):
        assert eval(compile(ast.parse(question[:-2], mode="eval"), "", "eval")) == int(
            answer
        )


def test_words_are_sorted():
    """All words are there, in order."""
    for question, answer in pairs("word_sorting"):
        words = question.split(": ")[1].split()
        assert answer.split() == sorted(words)


def test_brackets_are_closed():
    """Question and answer together cancel to nothing."""
    for question, answer in pairs("dyck_languages", difficulty=2):
        text = (question.split(": ")[1] + answer).replace(" ", "")
        while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", text)) != text:
            text = shorter
        assert text == ""


def test_things_are_counted():
    """A count of the wanted kind, read from the text."""
    numbers = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
    kinds = {
        "animals": "cat goat duck horse snail rabbit pig",
        "fruits": "apple banana melon grape plum orange lemon",
        "instruments": "flute drum violin piano trumpet harp",
        "tools": "hammer saw wrench drill chisel file",
        "vehicles": "car tram bicycle van scooter canoe",
    }
    for question, answer in pairs("object_counting", difficulty=2):
        wanted = re.search(r"How many (\w+)", question)[1]
        found = re.findall(r"\b(an?|two|three|four|five|six) (\w+?)s?\b", question)
        total = sum(
            numbers.get(n, 1) for n, word in found if word in kinds[wanted].split()
        )
        assert str(total) == answer


def test_liars_and_swaps_are_followed():
    """Simulated from the text alone."""
    for question, answer in pairs("web_of_lies", difficulty=3):
        sentences = question.split(". ")
        truth = {}
        for sentence in sentences[:-1]:
            if says := re.match(r"(\w+) says (\w+) (lies|tells)", sentence):
                truth[says[1]] = truth[says[2]] == (says[3] == "tells")
            else:
                truth[sentence.split()[0]] = "tells" in sentence
        who = re.search(r"Does (\w+)", question)[1]
        assert answer == ("Yes" if truth[who] else "No")
    for question, answer in pairs("tracking_objects", difficulty=3):
        holds = dict(re.findall(r"(\w+) has an? (\w+)", question))
        for one, other in re.findall(r"(\w+) and (\w+) swap", question):
            holds[one], holds[other] = holds[other], holds[one]
        assert answer == holds[re.search(r"What does (\w+)", question)[1]]


def test_dates_are_added():
    """The calendar agrees, across months and leap years."""
    for question, answer in pairs("date_understanding", difficulty=3):
        found = re.search(r"is (\S+) \(.*? is (\d+) days? (after|before)", question)
        day = dt.date(*map(int, reversed(found[1].split("/"))))
        sign = 1 if found[3] == "after" else -1
        later = day + dt.timedelta(days=sign * int(found[2]))
        assert answer == later.strftime("%d/%m/%Y")


def test_wrong_arguments_are_named():
    """Unknown tasks get the closest name; sizes must be positive ints."""
    with pytest.raises(InputValueError, match="object_counting"):
        GeneratedTask("object_countin")
    with pytest.raises(InputValueError, match="split"):
        GeneratedTask("word_sorting", "dev")
    with pytest.raises(InputValueError, match="size"):
        GeneratedTask("word_sorting", size=0)
    with pytest.raises(InputTypeError, match="difficulty"):
        GeneratedTask("word_sorting", difficulty="2")
    with pytest.raises(InputValueError, match="different questions"):
        GeneratedTask("web_of_lies", size=3_000)
    with pytest.raises(IndexError):
        GeneratedTask("word_sorting", size=3)[3]
