"""Evaluating programs: how samples reach them, and what is made of their answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from evaluation_helpers import DATA, Capitals, Graded

import afnio
from afnio import Variable
from afnio import cognitive as cog
from afnio.errors import BadRequestError, InputTypeError, InputValueError
from afnio.evaluation import aevaluate, evaluate
from afnio.models.testing import ScriptedModel
from afnio.utils.agents import SentimentAnalyzer


def scores_of(result):
    """Return all scores, with None for errors."""
    return [sample.score for sample in result.samples]


def test_a_module_is_called_with_the_fields_it_names():
    """Fields go to parameters of their names, and answers are compared exactly."""
    result = evaluate(Capitals(), DATA)
    assert scores_of(result) == [1.0, 1.0, 0.0]
    first = result.samples[0]
    assert (first.inputs, first.output, first.target) == (
        {"country": "Italy"},
        "Rome",
        "Rome",
    )
    assert "Rome" in first.explanation
    assert result.name == "Capitals"


def test_calls_are_counted_under_the_role_test():
    """Usage tells what was paid, by role."""
    result = evaluate(Capitals(), DATA)
    assert result.usage["test"].calls == 3
    assert result.total.input_tokens > 0


def test_a_failed_sample_has_an_error_and_no_score():
    """A failure is not a score of 0: the mean is over the samples that have one."""
    model = {"Italy": "Rome", "France": BadRequestError("down"), "": "London"}
    result = evaluate(Capitals(model), DATA)
    assert scores_of(result) == [1.0, None, 0.0]
    (failed,) = result.errors
    assert failed.index == 1
    assert failed.inputs == {"country": "France"}
    assert "BadRequestError" in failed.error
    assert result.mean == 0.5


def test_an_evaluator_that_fails_is_an_error_that_keeps_the_answer():
    """The error says that it was the evaluator's."""

    def broken(prediction, target):
        raise ZeroDivisionError(prediction)

    result = evaluate(str.upper, [("a", "A")], broken)
    (sample,) = result.samples
    assert sample.error == "in the evaluator: ZeroDivisionError: A"
    assert sample.output == "A"


@pytest.mark.parametrize("score", [None, "1", float("nan"), [1, 0]])
def test_what_is_no_score_is_an_error(score):
    """None, text, NaN and lists are refused by name."""
    result = evaluate(str.upper, [("a", "A")], lambda *_: score)
    assert "expected one finite number" in result.samples[0].error


@pytest.mark.parametrize(
    ("evaluator", "explanation"),
    [
        (lambda p, t: p == t, ""),
        (lambda p, t: (float(p == t), "words"), "words"),
        (lambda p, t: {"score": int(p == t), "explanation": "words"}, "words"),
        (lambda p, t: (Variable(1.0), Variable("words")), "words"),
    ],
)
def test_evaluators_may_return_numbers_or_pairs(evaluator, explanation):
    """A bool, a pair, a dict and a pair of Variables are all scores."""
    (sample,) = evaluate(str.upper, [("a", "A")], evaluator).samples
    assert (sample.score, sample.explanation) == (1.0, explanation)


def test_async_programs_and_evaluators_are_awaited():
    """Both may be async def, and run at once."""
    together = asyncio.Event()
    waiting = 0

    async def program(text):
        nonlocal waiting
        waiting += 1
        if waiting == 3:
            together.set()
        await together.wait()
        return text.upper()

    async def judge(prediction, target):
        return prediction == target

    result = evaluate(program, [("a", "A"), ("b", "B"), ("c", "d")], judge)
    assert scores_of(result) == [1.0, 1.0, 0.0]


def test_evaluator_modules_and_annotated_functions_get_variables():
    """What needs a Variable gets one, also for plain answers."""

    def judge(prediction: Variable, target):
        return float(isinstance(prediction, Variable))

    assert evaluate(str.upper, [("a", "A")], judge).mean == 1.0
    module = cog.ExactMatchEvaluator()
    assert evaluate(str.upper, [("a", "A")], module).mean == 1.0
    functional = cog.exact_match_evaluator
    assert evaluate(str.upper, [("a", "A")], functional).mean == 1.0


def test_exact_match_takes_several_targets_and_numbers():
    """A list of targets means any of them; a number matches a text that is one."""
    data = [("a", ["x", "A"]), ("7", 7), ("b", ["x"])]
    assert scores_of(evaluate(str.upper, data)) == [1.0, 1.0, 0.0]


def test_match_ignores_case_and_white_space():
    """The lenient evaluator forgives what exact_match does not."""
    data = [(" the  END", "The end")]
    assert evaluate(str.title, data).mean == 0.0
    assert evaluate(str.title, data, "match").mean == 1.0


def test_a_program_scores_itself_in_its_test_step():
    """Without an evaluator, test_step is asked, on batches of one sample."""
    data = [("Italy", "Rome"), ("Spain", "Madrid")]
    result = evaluate(Graded(), data)
    assert scores_of(result) == [1.0, 0.0]
    assert result.samples[1].inputs == "Spain"
    assert (result.samples[1].output, result.samples[1].target) == ("London", "Madrid")


def test_a_skipped_sample_is_an_error():
    """A test_step that returns None has no score to count."""

    class Skips(Graded):
        def test_step(self, batch, batch_idx):
            return None

    result = evaluate(Skips(), [("Italy", "Rome")])
    assert "skipped" in result.samples[0].error
    assert result.mean is None


@pytest.mark.parametrize("option", [{"target": "answer"}, {"fields": ["txt"]}])
def test_options_that_a_test_step_would_not_use_are_refused(option):
    """Whoever names a field expects it to be compared."""
    rows = [{"country": "Italy", "target": "Rome"}]
    with pytest.raises(InputValueError, match=r"would not be used.*-e exact_match"):
        evaluate(Graded(), rows, **option)


@pytest.mark.parametrize("data", ["test.jsonl", b"x", Path("test.jsonl")])
def test_a_path_is_no_data(data):
    """Its letters are no samples."""
    with pytest.raises(InputTypeError, match=r"datasets\.JSONLDataset\(path\)"):
        evaluate(str.upper, data)


def test_a_step_that_misreads_the_sample_says_what_it_was_given():
    """A bare KeyError would name the key alone."""

    class Misreads(Graded):
        def test_step(self, batch, batch_idx):
            return batch["text"]

    error = evaluate(Misreads(), [{"txt": "a", "target": "b"}]).samples[0].error
    assert error.splitlines()[0] == "KeyError: 'text'"
    assert "in Misreads.test_step; the batch is a dict with the keys 'txt'" in error


def test_modes_and_gradients_are_left_alone():
    """Programs run in evaluation mode without gradients; both come back afterwards."""
    seen = []

    class Watching(Capitals):
        def forward(self, country):
            seen.append((self.training, afnio.is_grad_enabled()))
            return super().forward(country)

    program = Watching()
    evaluate(program, DATA)
    assert seen == [(False, False)] * 3
    assert program.training


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (lambda inputs: inputs["a"], "1"),
        (lambda a: a, "1"),
        (lambda a, b="x": f"{a}{b}", "12"),
        (lambda sample: sample["b"], "2"),
        (lambda **fields: fields["a"] + fields["b"], "12"),
        (lambda a, missing="m": missing, "m"),
    ],
)
def test_ways_to_take_a_sample(program, expected):
    """Inputs arrive as a dict called inputs, by name, or as the only parameter."""
    data = [{"a": "1", "b": "2", "target": expected}]
    assert evaluate(program, data).mean == 1.0


def test_one_field_goes_to_the_only_parameter_by_itself():
    """A data set with one input needs no matching name."""
    assert evaluate(str.upper, [{"question": "a", "target": "A"}]).mean == 1.0


def test_arguments_are_passed_with_every_call():
    """A program that takes its model in the call gets it."""

    def program(text, fwd_model):
        return fwd_model.chat([{"role": "user", "content": text}])

    model = ScriptedModel("yes")
    result = evaluate(program, [("a", "yes")], arguments={"fwd_model": model})
    assert result.mean == 1.0


def test_a_program_that_needs_more_than_the_sample_says_so():
    """Before anything is paid, with where the rest can come from."""
    with pytest.raises(InputTypeError, match=r"pass what every call .* --model"):
        evaluate(SentimentAnalyzer(), [{"message": "x", "target": "y"}])
    model = ScriptedModel("y")
    data = [{"message": "x", "target": "y"}]
    result = evaluate(SentimentAnalyzer(), data, arguments={"fwd_model": model})
    assert result.mean == 1.0


def test_fields_and_target_choose_columns():
    """Other names than target work, and fields can be left out."""
    data = [{"id": 7, "question": "a", "answer": "A"}]
    result = evaluate(str.upper, data, target="answer", fields=["question"])
    assert result.mean == 1.0
    assert result.samples[0].inputs == {"question": "a"}


def test_data_without_targets():
    """With target=None the evaluator gets None."""
    result = evaluate(str.upper, ["a"], lambda p, t: t is None, target=None)
    assert result.mean == 1.0


def test_results_arrive_in_order_while_samples_run():
    """The callback for progress bars sees every result, in the order of the data."""
    seen = []
    evaluate(Capitals(), DATA, on_sample=lambda each: seen.append(each.index))
    assert seen == [0, 1, 2]


def test_concurrency_limits_what_is_under_way():
    """One at a time is one at a time."""
    at_once = [0, 0]

    async def program(text):
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0)
        at_once[0] -= 1
        return text

    evaluate(program, [("a", "a")] * 5, concurrency=1)
    assert at_once == [0, 1]


def test_it_can_be_awaited():
    """The async form gives the same, on any loop."""
    result = asyncio.run(aevaluate(Capitals(), DATA))
    assert scores_of(result) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("program", "data", "more", "words"),
    [
        (3, DATA, {}, "the program is int"),
        (Capitals, DATA, {}, "pass an instance"),
        (str.upper, 3, {}, "data is int"),
        (str.upper, DATA, {"evaluator": 3}, "the evaluator is int"),
        (str.upper, DATA, {"targets": "x"}, "did you mean 'target'"),
        (str.upper, DATA, {"concurrency": "3"}, "concurrency is str"),
        (str.upper, DATA, {"fields": "country"}, "fields is str"),
        (str.upper, DATA, {"target": 3}, "target is int"),
        (str.upper, DATA, {"arguments": [1]}, "arguments is list of length 1"),
        (str.upper, DATA, {"on_sample": 3}, "on_sample is int"),
        (lambda a: a, DATA, {"arguments": {"b": 1}}, "takes no argument 'b'"),
        (lambda a, b: a, DATA, {}, "needs a, b, and the sample offers country"),
    ],
)
def test_wrong_kinds_are_refused_by_name(program, data, more, words):
    """Nothing is called before everything fits."""
    with pytest.raises(InputTypeError, match=words):
        evaluate(program, data, **more)


@pytest.mark.parametrize(
    ("data", "more", "words"),
    [
        ([], {}, "no samples"),
        ([{"question": "a", "answer": "b"}], {}, "sample 0 has no field 'target'"),
        ([("a", "A"), {"targett": 1}], {}, "sample 1 .* did you mean 'targett'"),
        (["a"], {}, r"expected a dict with a field 'target', or a pair"),
        (DATA, {"evaluator": "exact-match"}, "did you mean 'exact_match'"),
        (DATA, {"concurrency": 0}, "expected 1 or more"),
    ],
)
def test_impossible_values_are_refused_by_name(data, more, words):
    """The message says which sample, and what was probably meant."""
    with pytest.raises(InputValueError, match=words):
        evaluate(str.upper, data, **more)


def test_equal_samples_have_equal_keys_whatever_their_order():
    """A sample is known by its contents."""
    one, other = evaluate(Capitals(), DATA), evaluate(Capitals(), DATA[::-1])
    keys = [sample.key for sample in one.samples]
    assert keys == [sample.key for sample in other.samples][::-1]
    assert len(set(keys)) == 3


def test_a_generator_is_data():
    """Anything that can be read once will do."""
    assert evaluate(str.upper, (pair for pair in [("a", "A")])).mean == 1.0


def leave(text, *_):
    """Answer, or ask to exit."""
    if text == "b":
        raise SystemExit(0)
    return text


async def aleave(text):
    """Do so on the loop."""
    return leave(text)


def scores_or_leaves(said, target):
    """Score, or ask to exit."""
    return float(leave(said) == target)


@pytest.mark.parametrize(
    ("program", "evaluator"),
    [(leave, None), (aleave, None), (lambda text: text, scores_or_leaves)],
)
def test_exit_requests_are_errors_of_their_sample(program, evaluator):
    """A program that calls sys.exit does not end who evaluates it."""
    result = evaluate(program, [("a", "a"), ("b", "b")], evaluator)
    assert [sample.score for sample in result.samples] == [1.0, None]
    assert result.samples[1].error.endswith("SystemExit: sys.exit(0) was called")


def test_a_step_that_takes_a_dict_apart_like_a_pair_is_told_so():
    """It would compare an answer about a field's name with a field's name."""
    result = evaluate(Graded(), DATA)
    assert scores_of(result) == [None, None, None]
    ((message, count),) = result.error_counts()
    assert count == 3
    assert "a dict with the fields 'country', 'target', unpacked it" in message
    assert "compared with 'target'. Take batch[…]" in message
    pairs = [(each["country"], each["target"]) for each in DATA]
    assert scores_of(evaluate(Graded(), pairs)) == [1.0, 1.0, 0.0]


def test_a_step_that_fails_on_the_name_of_a_field_is_told_so():
    """The error in it would say nothing about where the name comes from."""

    class Counting(Capitals):
        def test_step(self, batch, batch_idx):
            number, target = batch
            return cog.exact_match_evaluator(Variable([str(int(number))]), target)

    result = evaluate(Counting(), [{"number": "1", "target": "1"}])
    assert "failed (ValueError: invalid literal" in result.samples[0].error
    assert "unpacked it, which gives their names" in result.samples[0].error


def test_a_step_that_reads_fields_may_have_a_target_called_like_a_field():
    """A target that is the name of a field, and the value of one, is no mistake."""

    class Reads(Capitals):
        def test_step(self, batch, batch_idx):
            values = {**batch, "more": list(batch.items())}
            assert "target" in values
            found = Variable(["target"], "answer")
            return cog.exact_match_evaluator(found, batch["target"])

    rows = [{"country": "Italy", "target": "target"}]
    assert scores_of(evaluate(Reads(), rows)) == [1.0]


def test_a_missing_target_field_says_how_to_name_it():
    """For callers and for the command."""
    rows = [{"country": "Italy", "answer": "Rome"}]
    with pytest.raises(InputValueError, match=r"target=….*afnio eval: --target"):
        evaluate(Capitals(), rows)


def test_an_error_of_several_lines_keeps_them():
    """Equal first lines count as one error; the lines of the first are shown."""

    def fails(country):
        raise ValueError(f"no such call:\n    asked  {country}\n\n  fix: record it")

    result = evaluate(fails, DATA)
    assert result.samples[0].error == (
        "ValueError: no such call:\n  asked Italy\n  fix: record it"
    )
    assert result.error_counts() == [("ValueError: no such call:", 3)]
    shown = str(result).splitlines()
    assert shown[2:5] == [
        "    3 x ValueError: no such call: (sample 0)",
        "        asked Italy",
        "        fix: record it",
    ]
