"""PatchTGD: textual gradient descent by small edits, each of them tested."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from afnio._variable import Variable
from afnio.models._chat_client import ChatClient
from afnio.optim._checks import require_int
from afnio.optim._options import RewriteOptions
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim._preset import Common, Preset
from afnio.optim.gates import Gate, Improve, Race
from afnio.optim.memory import RejectedEdits
from afnio.optim.optimizer import ParamsT
from afnio.optim.pools import Current
from afnio.optim.proposers import Patch

__all__ = ["PatchTGD"]


class PatchTGD(Preset):
    r"""Improve parameters by a few edits at a time, and keep what wins a race.

    In every step a model proposes edits of each parameter with feedback (add, replace,
    delete, move); the rest of the text stays as it is. Several proposals are made at
    once, each looking at other failures first. What they change is tested in one text;
    only if that fails, each alone. A test is a race against the present text on the
    validation samples, whose scores are known from earlier steps; the best one that
    wins is installed. At equal scores the newest wins. What a race turned down is shown
    to the model in later steps.

    Feedback is what ``backward`` left in ``grad``. A closure that can train (such as
    `SampleClosure` with ``train``) needs no ``backward``: samples are drawn, and a
    proposal goes to validation only if it does no worse on the samples it was made
    from. Call `finish` at the end: it returns the start unless what was found is better
    on fresh draws.

    Args:
        params: Parameters that hold text, or groups of them. A group may have its own
            ``model_client``, ``constraints``, ``edit_lr`` and ``completion_args``.
        model_client: Who proposes; None for the backward model client.
        constraints: Rules that every new text must keep: texts or Variables.
        edit_lr: Edits of a parameter per proposal; `afnio.optim.lr_scheduler` changes
            it.
        proposals: Candidates per step.
        rejected: How many rejected edits the model is shown; 0 for none.
        gate: Who decides on validation samples; default is `Race`, which stops as soon
            as a candidate leads by 3 samples or is behind by 2.
        check: Who decides on the training samples before that; None lets all pass.
        finalists: How many candidates of a step go on to validation after the check:
            those that gain most; None for all.
        unite: Whether the changes of all proposals that pass the check are tested
            together first.
        prune: Whether a step after one that gained nothing also tries the text
            without one of its sentences or lines, for no optimizer call.
        batch_size: Training samples per step, for closures that can train.
        stop_when: When to do no more.
        options: Limits of a proposal, such as how many examples are shown.
        seed: Of the optimizer's own random generator.
        **completion_args: Passed to the model with every call.

    Model calls: per step ``proposals`` optimizer calls per parameter with feedback
    (more while replies are unusable), and validation by the closure: a block at least
    for each candidate that is tested, everything for one that is neither ahead nor
    behind. With a closure that can train also ``batch_size`` samples, with their critic
    calls, and as many for each check.

    Raises:
        InputTypeError: An option is of the wrong kind, or a parameter holds
            demonstrations.
        InputValueError: A number is too small.

    Examples:
        >>> from afnio import Variable
        >>> from afnio.models.testing import ScriptedModel
        >>> edit = '{"action": "add", "find": "", "text": "Use their name."}'
        >>> model = ScriptedModel('{"edits": [' + edit + "]}")
        >>> prompt = Variable("Greet them.", "system prompt", requires_grad=True)
        >>> prompt.append_grad(Variable("It does not use names."))
        >>> opt = PatchTGD([prompt], model, proposals=1)
        >>> opt.step(lambda: [float("name" in prompt.data)] * 8)
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        >>> prompt.data
        'Greet them.\nUse their name.'

    Source: bounded patches and the rejected-edit buffer are SkillOpt's (2026), arXiv
    2605.23904; differences: evidence through the program's graph, a sequential paired
    test instead of a full validation per step, several proposals at once.
    """

    credit_mode: ClassVar[str] = "critic"

    def __init__(
        self,
        params: ParamsT,
        model_client: ChatClient | None = None,
        constraints: Iterable[str | Variable] | None = None,
        edit_lr: int = 4,
        *,
        proposals: int = 3,
        rejected: int = 16,
        gate: Gate | None = None,
        check: Gate | None = Improve(ties="newest"),  # noqa: B008 - frozen
        finalists: int | None = 1,
        unite: bool = True,
        prune: bool = True,
        batch_size: int = 8,
        stop_when: Stop | None = None,
        options: RewriteOptions | None = None,
        seed: int = 0,
        **completion_args: Any,
    ) -> None:
        parts = Parts(
            proposer=Patch(),
            gate=Race(behind=2, ahead=3),
            pool=Current(),
            check=check,
            finalists=finalists,
            memory=RejectedEdits(require_int("rejected", rejected, 0)),
            sampler=Minibatch(batch_size),
            proposals=proposals,
            unite=unite,
            prune=prune,
        )
        common = Common(model_client, constraints, gate, stop_when, options, seed)
        super().__init__(
            params, parts, common, defaults={"edit_lr": edit_lr}, **completion_args
        )

    def _check_group(self, group: dict[str, Any]) -> None:
        require_int("edit_lr", group["edit_lr"], 1)
        super()._check_group(group)
