"""BootstrapFewShot: demonstrations out of the program's own right answers."""

from __future__ import annotations

from afnio.optim.few_shot import FewShot
from afnio.optim.gates import Gate
from afnio.optim.optimizer import ParamsT

__all__ = ["BootstrapFewShot"]


class BootstrapFewShot(FewShot):
    """Choose demonstrations among runs of the program that were right.

    `FewShot` as it is known elsewhere: rows are traces that the program made itself,
    inputs and answers of training samples that it got right; no target stands as an
    answer, so that it works for every call of a program, whatever that call has to
    reply. Every step runs some training samples, tries random sets of all rows known so
    far, and installs the best one that passes the gate.

    Args:
        params: `Demonstrations`, or groups of them with ``demos`` of their own.
        demos: Rows that a set has. A parameter's own ``max_demos`` caps it.
        candidates: Sets tried per step; 1 for no search.
        batch_size: Training samples that a step runs, for closures that can train; with
            another closure, the evidence that ``backward`` left in ``grad`` counts.
        gate: Who decides; default is `Improve`.
        seed: Of the optimizer's own random generator.
        keep: Share of the candidates that goes on after each block; see `FewShot`.
        reuse: Whether the present rows' scores are kept; see `FewShot`.

    Model calls: per step ``batch_size`` samples, and ``candidates + 1`` evaluations by
    the closure; with blocks fewer, see `FewShot`. No optimizer call.

    Raises:
        InputTypeError: A parameter holds no demonstrations, or an option is of the
            wrong kind.
        InputValueError: A number is too small.

    Examples:
        >>> from afnio.autodiff.evidence import Evidence
        >>> from afnio import Variable
        >>> from afnio.cognitive import Demonstrations
        >>> demos = Demonstrations(fields=("word",))
        >>> gradient = Variable("")
        >>> right = Evidence(inputs={"word": "box"}, output="boxes", success=True)
        >>> gradient.evidence = (right,)
        >>> demos.append_grad(gradient)
        >>> opt = BootstrapFewShot([demos], demos=1)
        >>> opt.step(lambda: float(len(demos.data)))
        1.0
        >>> demos.data
        [['box', 'boxes']]

    Source: BootstrapFewShot and its random search in DSPy (Khattab et al. 2023), arXiv
    2310.03714; differences: the program teaches itself (for another teacher, collect
    rows with its model and give them to `FewShot` as ``pool``), successive halving, a
    paired gate against the present rows.
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        demos: int = 4,
        candidates: int = 8,
        batch_size: int = 16,
        gate: Gate | None = None,
        seed: int = 0,
        keep: float = 0.4,
        reuse: bool = True,
    ) -> None:
        super().__init__(
            params,
            demos=demos,
            candidates=candidates,
            rounds=1,
            gate=gate,
            seed=seed,
            labels=False,
            keep=keep,
            reuse=reuse,
            batch_size=batch_size,
        )
