"""Evaluating a program on samples: all at once, each on its own, in order."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, NamedTuple, Protocol, Unpack

from afnio._dispatch import call_user, on_loop, run_sync
from afnio._loop import outcome_of
from afnio._text import describe
from afnio._variable import Variable
from afnio.autodiff.grad_mode import no_grad
from afnio.cognitive.modules.module import Module
from afnio.errors import InputTypeError, InputValueError, ReplyError
from afnio.evaluation._inputs import Caller, Columns, Fields, name_of, plain
from afnio.evaluation._options import Options, OptionsGiven, options_from
from afnio.evaluation._result import Evaluation, SampleResult, error_text
from afnio.evaluation._scoring import DEFAULT, Evaluator, Scorer, as_number
from afnio.evaluation._usage import Meter
from afnio.models import call_role, observe
from afnio.trainer._evaluate import settle
from afnio.trainer._hooks import call_step, evaluating, form_note, has
from afnio.trainer._samples import sample_keys
from afnio.trainer._steps import parse_output
from afnio.utils.data.dataloader import default_collate


def evaluate(
    program: Any,
    data: Iterable[Any],
    evaluator: Evaluator | None = None,
    **options: Unpack[OptionsGiven],
) -> Evaluation:
    """Run ``program`` on every sample of ``data`` and score the answers.

    Samples run concurrently, in evaluation mode and without gradients. A sample whose
    program, model or evaluator fails has an error and no score: it never counts as 0.

    Args:
        program: A Module or another callable, plain or ``async``. Samples that are
            dicts go to parameters of their fields' names, to one called ``inputs``, or
            to the only parameter there is.
        data: Samples: dicts with a field ``target``, or pairs (input, target).
        evaluator: ``"exact_match"``, ``"match"`` (ignores case and white space); an
            evaluator Module; or a function of prediction and target that returns a
            number, a bool, or (score, explanation). Without one, a Module that defines
            ``test_step`` is asked for its own score, on batches of one sample;
            everything else is compared by ``exact_match``.
        **options: See `Options`: target, fields, arguments, concurrency, name and
            on_sample.

    Model calls: what the program and the evaluator make, under the role ``test``.

    Raises:
        InputTypeError: An argument is of the wrong kind, or the samples do not fit the
            program's parameters.
        InputValueError: There are no samples, or one lacks a field.

    Examples:
        >>> result = evaluate(str.upper, [("a", "A"), ("b", "b")])
        >>> result.mean, [sample.score for sample in result.samples]
        (0.5, [1.0, 0.0])
    """
    return run_sync(aevaluate(program, data, evaluator, **options))


async def aevaluate(
    program: Any,
    data: Iterable[Any],
    evaluator: Evaluator | None = None,
    **options: Unpack[OptionsGiven],
) -> Evaluation:
    """Await what `evaluate` does."""
    chosen = options_from(options)
    job = _job(program, evaluator, chosen)
    _check_data(data)
    return await on_loop(_evaluate(job, data, chosen))


def _check_data(data: Any) -> None:
    if isinstance(data, (str, bytes, PathLike)):
        reader = "CSVDataset" if str(data).endswith(".csv") else "JSONLDataset"
        raise InputTypeError(
            f"data is {describe(data)}, expected a list of samples; read a file first, "
            f"such as with afnio.utils.datasets.{reader}(path)."
        )
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise InputTypeError(f"data is {describe(data)}; expected a list of samples.")


class Work(NamedTuple):
    """What there is to do for one sample."""

    start: SampleResult
    """All that is known of it before."""
    run: Callable[[], Awaitable[SampleResult]]


class Job(Protocol):
    """One way to get results out of a program."""

    program: Any

    def prepare(self, sample: Any, index: int) -> Work:
        """Check a sample, before anything is paid."""


def _job(program: Any, evaluator: Evaluator | None, options: Options) -> Job:
    if isinstance(program, type):
        raise InputTypeError(
            f"the program is the class {program.__name__}; pass an instance of it."
        )
    own_step = isinstance(program, Module) and has(program, "test_step")
    if evaluator is None and own_step and not options.arguments:
        return _StepJob(program, options)
    return _CallJob(program, evaluator or DEFAULT, options)


class _CallJob:
    """Calls the program, then the evaluator."""

    def __init__(self, program: Any, evaluator: Evaluator, options: Options) -> None:
        self.program = program
        self._columns = Columns(options.target, options.fields)
        self._caller = Caller(program, options.arguments)
        self._scorer = Scorer(evaluator)

    def prepare(self, sample: Any, index: int) -> Work:
        inputs, target = self._columns.split(sample, index)
        call = self._caller.bind(inputs)
        result = SampleResult(
            index=index,
            key=_key(sample, index),
            inputs=plain(inputs),
            target=plain(target),
        )
        return Work(result, partial(self._run, call, result, target))

    async def _run(
        self, call: Callable[[], Any], result: SampleResult, target: Any
    ) -> SampleResult:
        output = await call_step(call)
        output = await output if inspect.isawaitable(output) else output
        await settle(output)
        result = replace(result, output=plain(output))
        if output is None or (isinstance(output, Variable) and output.data is None):
            raise ReplyError("the program gave no answer (None).")
        said, error = await outcome_of(self._scorer.score(output, target))
        if error is not None:
            return failed(result, error, "in the evaluator: ")
        assert said is not None
        return replace(result, score=said.value, explanation=said.explanation)


class _StepJob:
    """Asks the program's own ``test_step``."""

    def __init__(self, program: Module, options: Options) -> None:
        if options.fields is not None:
            raise _not_used(program, "--input", f"fields={options.fields!r}")
        if options.target not in (None, Options().target):
            raise _not_used(program, "--target", f"target={options.target!r}")
        self.program = program
        self._columns = Columns(options.target)

    def prepare(self, sample: Any, index: int) -> Work:
        batch = default_collate([sample])
        if isinstance(batch, dict):
            batch = Fields(batch)
        inputs = self._columns.inputs_of(sample)
        result = SampleResult(
            index=index, key=_key(sample, index), inputs=plain(inputs)
        )
        return Work(result, partial(self._run, batch, result))

    async def _run(self, batch: Any, result: SampleResult) -> SampleResult:
        found, error = await outcome_of(self._ask(batch, result))
        taken_apart = isinstance(batch, Fields) and batch.taken_apart
        if error is None:
            assert found is not None
            if taken_apart and isinstance(found.target, str) and found.target in batch:
                raise batch.mistaken(f"compared with {found.target!r}")
            return found
        if taken_apart and isinstance(error, Exception):
            raise batch.mistaken(f"failed ({error_text(error)})") from error
        note = form_note(error, self.program, "test_step", batch)
        result = failed(result, error)
        return replace(result, error=f"{result.error}\n  {note}") if note else result

    async def _ask(self, batch: Any, result: SampleResult) -> SampleResult:
        raw = await call_step(self.program.test_step, batch, result.index)
        output = parse_output("test_step", raw)
        if output is None:
            raise ReplyError("test_step skipped the sample: it returned None.")
        await output.settle()
        score, evidence = output.values["loss"], output.values["loss"].evidence
        words = str(output.explanation.data or "")
        if len(evidence) == 1:
            (only,) = evidence
            answer, target = plain(only.output), plain(only.target)
            result, score = replace(result, output=answer, target=target), only.score
        return replace(result, score=as_number(score), explanation=words)


def _not_used(program: Module, option: str, given: str) -> InputValueError:
    return InputValueError(
        f"{given} (afnio eval: {option}) would not be used, since "
        f"{type(program).__name__} scores itself in its test_step. Leave it out, or "
        "name an evaluator that is to judge instead, such as evaluator='exact_match' "
        "(afnio eval: -e exact_match)."
    )


def _key(sample: Any, index: int) -> str:
    keys = sample_keys([sample], 1)
    return f"#{index}" if keys is None else keys[0]


async def _evaluate(job: Job, data: Iterable[Any], options: Options) -> Evaluation:
    samples = await call_user(list, data)
    if not samples:
        raise InputValueError("there are no samples to evaluate on: the data is empty.")
    work = [job.prepare(sample, index) for index, sample in enumerate(samples)]
    started, meter = time.monotonic(), Meter()
    with _mode(job.program), call_role("test"), observe(meter):
        results = await _all(work, options)
    return Evaluation(
        name=options.name or name_of(job.program),
        samples=tuple(results),
        usage=dict(sorted(meter.usage.items())),
        seconds=time.monotonic() - started,
    )


@contextmanager
def _mode(program: Any) -> Iterator[None]:
    mode = evaluating(program) if isinstance(program, Module) else nullcontext()
    with mode, no_grad():
        yield


async def _all(work: Sequence[Work], options: Options) -> list[SampleResult]:
    turn = asyncio.Semaphore(options.concurrency)

    async def one(each: Work) -> SampleResult:
        async with turn:
            return await each.run()

    tasks = [asyncio.ensure_future(outcome_of(one(each))) for each in work]
    results = []
    try:
        for each, task in zip(work, tasks, strict=True):
            result, error = await task
            if error is not None:
                result = failed(each.start, error)
            assert result is not None
            results.append(result)
            if options.on_sample is not None:
                await call_user(options.on_sample, result)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return results


def failed(result: SampleResult, error: BaseException, where: str = "") -> SampleResult:
    """Return the result of a sample that has an error instead of a score.

    A program that calls ``sys.exit`` has failed, whatever the exit code. What is not an
    error of the sample, such as Ctrl-C, is raised.
    """
    if not isinstance(error, (Exception, SystemExit)):
        raise error
    return replace(result, error=f"{where}{error_text(error)}")
