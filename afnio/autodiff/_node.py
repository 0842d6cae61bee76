"""FunctionNode: what one call of a Function leaves in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from afnio._text import shorten
from afnio._variable import Variable
from afnio.autodiff._inputs import IS_VARIABLE, Inputs, Snapshot, flat
from afnio.autodiff.graph import Node
from afnio.errors import GradientCountError, InputTypeError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afnio.autodiff.evidence import Evidence
    from afnio.autodiff.function import Function


class FunctionNode(Node):
    """A `Function`'s node, and the ``ctx`` that its forward and backward share.

    Attributes:
        needs_input_grad: Per forward input, whether a gradient is wanted.
        saved_variables: What ``save_for_backward`` was given.
        roles: For operations that pass feedback on: the roles of their inputs.

    Any other attribute may be set too, at the price of a dict.
    """

    __slots__ = (
        "__dict__",
        "_counts",
        "_freed",
        "_outputs",
        "_saved",
        "_versions",
        "evidence",
        "needs_input_grad",
        "roles",
    )

    _function: ClassVar[type[Function]]
    roles: tuple[Any, ...]
    qualifier = "afnio.autodiff.function"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self._counts = inputs.counts
        self._saved: tuple[Variable, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._freed = False
        self._outputs = 1
        self.evidence: tuple[Evidence, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = inputs.needs_grad

    def save_for_backward(self, *variables: Variable) -> None:
        """Keep Variables for backward, and notice if a leaf among them changes.

        Raises:
            InputTypeError: One of them is not a Variable.
        """
        for position, variable in enumerate(variables):
            if not isinstance(variable, Variable):
                raise InputTypeError(
                    f"save_for_backward takes Variables; argument {position} is a "
                    f"{type(variable).__name__}: {shorten(variable)}. Keep anything "
                    "else as an attribute: ctx.name = value."
                )
        self._saved = variables
        self._versions = tuple(variable._version for variable in variables)

    @property
    def saved_variables(self) -> tuple[Variable, ...]:
        """The Variables given to ``save_for_backward``.

        Raises:
            StateError: A leaf among them was written in place since.
        """
        for variable, version in zip(self._saved, self._versions, strict=True):
            leaf = variable.origin if isinstance(variable, Snapshot) else variable
            if leaf._grad_fn is None and leaf._version != version:
                kind = type(self).__name__
                raise StateError(
                    f"a Variable needed for backward was changed in place: role "
                    f"{shorten(leaf.role)!r} is at version {leaf._version}, "
                    f"{kind} saved version {version}. Run backward before "
                    "assigning data, or compute the forward again."
                )
        return self._saved

    def apply(self, *grad_outputs: Variable | None) -> Any:
        """Call the Function's backward."""
        return self._function.backward(self, *grad_outputs)

    def _release(self) -> None:
        """Let go of what was saved for backward."""
        self._freed = True
        self._saved = self._versions = self.roles = ()
        self.__dict__.clear()
        self._job = None

    def _flatten(self, result: Any) -> Sequence[Any]:
        """Bring what backward returned into the order of the edges.

        Raises:
            GradientCountError: There are too few or too many.
        """
        counts = self._counts
        grads = result if isinstance(result, (tuple, list)) else (result,)
        if len(grads) == len(counts) and sum(counts) == IS_VARIABLE * len(counts):
            return grads  # every input is a Variable: nothing to flatten
        surplus = [item for item in flat(grads[len(counts) :]) if item is not None]
        if len(grads) < len(counts) or surplus:
            raise GradientCountError(
                f"{self._function.__name__}.backward returned {len(grads)} gradients "
                f"for {len(counts)} inputs. Return one per input of forward, and None "
                "where none is needed."
            )
        flattened: list[Any] = []
        for position, (grad, count) in enumerate(zip(grads, counts, strict=False)):
            flattened += self._expand(grad, count, position)
        return flattened

    def _expand(self, grad: Any, count: int, position: int) -> list[Any]:
        if count == IS_VARIABLE:
            return [grad]
        if grad is None:
            return [None] * count
        nested = list(flat(grad))
        if count == 0 and all(item is None for item in nested):
            return []
        if len(nested) != count:
            raise GradientCountError(
                f"{self._function.__name__}.backward returned {len(nested)} gradients "
                f"for input {position}, which holds {count} Variables."
            )
        return nested
