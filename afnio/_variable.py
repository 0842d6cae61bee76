"""Variable: text or numbers that remember how they came about.

A Variable is to afnio what a Tensor is to PyTorch. Its data may be *pending*: an
operation returns at once, and reading ``data`` (or printing, iterating, indexing)
waits. Where the meaning bends: ``grad`` is a list of texts, not one array.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Generator, Sequence
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from afnio import _data
from afnio._data import JAGGED, Data
from afnio._dispatch import Deferred
from afnio._operators import Operators, autodiff
from afnio._text import shorten
from afnio.errors import InputTypeError, InputValueError, StateError

if TYPE_CHECKING:
    from afnio.autodiff.evidence import Evidence
    from afnio.autodiff.function import FunctionNode
    from afnio.autodiff.graph import Node, RemovableHandle

__all__ = ["JAGGED", "Variable", "is_scalar_variable", "is_variable"]


class Pending(NamedTuple):
    """One output of an operation that has not finished."""

    job: Deferred[tuple[Data, ...]]
    output_nr: int


class Variable(Operators):
    """A value in a program made of language-model calls.

    Args:
        data: ``None``, text, a number, or a nested list of them. A list is a *batch*;
            ``None`` in it is a missing sample. Tuples are stored as lists.
        role: What the value is for, in words; critics and optimizers read it.
        requires_grad: Whether feedback on it is wanted.

    Raises:
        InputTypeError: ``data`` is something else, or mixes text and numbers.

    Examples:
        >>> Variable([1, 2.5]).data
        [1.0, 2.5]
        >>> (Variable("abc") + "def").data
        'abcdef'
    """

    __slots__ = (
        "__weakref__",
        "_accumulator",
        "_evidence",
        "_grad",
        "_grad_fn",
        "_hooks",
        "_id",
        "_output_nr",
        "_retain_grad",
        "_value",
        "_version",
        "requires_grad",
        "role",
    )

    _drops_grad_on_copy: ClassVar[bool] = False

    role: Any
    requires_grad: bool

    def __init__(
        self, data: Data = "", role: Any = "", requires_grad: bool = False
    ) -> None:
        self._value: Data | Pending = (
            data if data is None or type(data) is str else _data.normalize(data)
        )
        self.role = role
        self.requires_grad = requires_grad
        self._grad_fn: Node | None = None
        self._output_nr = 0
        self._version = 0
        self._retain_grad = False
        self._grad: list[Variable] | None = None
        self._accumulator: weakref.ref[Node] | None = None
        self._hooks: dict[int, Callable[..., Any]] | None = None
        self._id: str | None = None
        self._evidence: tuple[Evidence, ...] | FunctionNode = ()

    # -- data ---------------------------------------------------------------------

    @property
    def data(self) -> Data:
        """The value; waits while it is pending."""
        value = self._value
        if type(value) is Pending:
            result = _data.copy_data(value.job.result()[value.output_nr])
            if self._value is value:
                self._value = result
            return result
        return value

    @data.setter
    def data(self, data: Data) -> None:
        self._value = _data.normalize(data)
        self._version += 1

    @property
    def version(self) -> int:
        """How often ``data`` was written in place."""
        return self._version

    @property
    def shape(self) -> tuple[Any, ...]:
        """Sizes of the nested lists, ``()`` for a scalar; uneven levels are JAGGED."""
        return _data.shape_of(self.data)

    def is_ready(self) -> bool:
        """Whether ``data`` can be read without waiting."""
        value = self._value
        return type(value) is not Pending or value.job.done()

    def __await__(self) -> Generator[Any, None, Self]:
        value = self._value
        if type(value) is Pending:
            yield from value.job.__await__()
        return self

    @property
    def variable_id(self) -> str:
        """A unique id, made when first asked for."""
        self._id = self._id or urandom(16).hex()
        return self._id

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What happened to each sample: on scores and gradients; waits as data does."""
        source = self._evidence
        if isinstance(source, tuple):
            return source
        if (job := source._job) is not None:
            job.result()
        return source.evidence

    @evidence.setter
    def evidence(self, evidence: tuple[Evidence, ...]) -> None:
        self._evidence = tuple(evidence)

    # -- graph --------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this Variable, or None for a leaf."""
        return self._grad_fn

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed it."""
        return self._grad_fn is None or not self.requires_grad

    @property
    def output_nr(self) -> int:
        """Which output of ``grad_fn`` this is."""
        return self._output_nr

    @output_nr.setter
    def output_nr(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InputTypeError(
                f"output_nr must be an int >= 0, got {type(value).__name__} {value!r}."
            )
        self._output_nr = value

    @property
    def grad(self) -> list[Variable]:
        """Feedback on this Variable, one entry per path that reached it."""
        self._check_grad("read")
        self._grad = [] if self._grad is None else self._grad
        return self._grad

    @grad.setter
    def grad(self, grad: list[Variable] | None) -> None:
        self._check_grad("set")
        if grad is None:
            grad = []
        if not isinstance(grad, list) or not all(is_variable(item) for item in grad):
            raise InputTypeError(
                "grad must be a list of Variables, or None to clear it; got "
                f"{type(grad).__name__}: {shorten(grad)}."
            )
        self.grad[:] = grad

    def append_grad(self, gradient: Variable) -> None:
        """Append one piece of feedback, the same object, to ``grad``.

        Raises:
            StateError: The Variable is neither a leaf nor retains its gradient.
            InputTypeError: ``gradient`` is not a Variable.
        """
        self._check_grad("append to")
        if not is_variable(gradient):
            raise InputTypeError(
                f"append_grad takes a Variable, got {type(gradient).__name__}."
            )
        self.grad.append(gradient)

    def _check_grad(self, verb: str) -> None:
        if self._grad_fn is not None and self.requires_grad and not self._retain_grad:
            raise StateError(
                f"cannot {verb} the grad of a Variable that is not a leaf (role "
                f"{shorten(self.role)!r}); call retain_grad() on it before backward."
            )

    def retain_grad(self) -> None:
        """Keep the gradient of a Variable that is not a leaf; a leaf always does."""
        if self._grad_fn is not None and self.requires_grad:
            self._retain_grad = True
            self._grad_fn._retain(self)

    def requires_grad_(self, mode: bool = True) -> Self:
        """Set ``requires_grad`` and return the Variable itself."""
        self.requires_grad = mode
        return self

    def register_hook(
        self, hook: Callable[[Variable], Variable | None]
    ) -> RemovableHandle:
        """Call ``hook(gradient)`` in a backward; its result, unless None, replaces it.

        On a leaf, for every gradient that reaches it, in graph order; elsewhere once,
        with all gradients merged. If it raises, the backward writes nothing.

        Raises:
            StateError: The Variable does not require grad.
        """
        handle: RemovableHandle = autodiff().graph.register_variable_hook(self, hook)
        return handle

    def backward(
        self,
        gradient: Variable | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Variable | Sequence[Any] | None = None,
    ) -> None:
        """Send feedback back to the leaves; see `afnio.autodiff.backward`."""
        self._check_root()
        autodiff().backward(self, gradient, retain_graph, create_graph, inputs)

    async def abackward(
        self,
        gradient: Variable | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Variable | Sequence[Any] | None = None,
    ) -> None:
        """Await what `backward` does."""
        self._check_root()
        await autodiff().abackward(self, gradient, retain_graph, create_graph, inputs)

    def _check_root(self) -> None:
        if self.is_leaf:
            raise StateError(
                f"backward() on a leaf (role {shorten(self.role)!r}): no operation "
                "that requires grad computed this Variable. Check that an input "
                "requires grad and that grad mode was on."
            )

    # -- copies -------------------------------------------------------------------

    def detach(self) -> Variable:
        """Return a plain Variable with the same data and role, outside the graph."""
        value, result = self._value, Variable(None, self.role)
        result._value = value if type(value) is Pending else _data.copy_data(value)
        return result

    def copy_(self, src: Variable) -> Self:
        """Overwrite data, role and ``requires_grad`` with those of ``src``.

        Raises:
            InputTypeError: ``src`` is not a Variable.
            InputValueError: Shape or kind of data differs; nothing has changed.
        """
        if not is_variable(src):
            raise InputTypeError(f"copy_ takes a Variable, got {type(src).__name__}.")
        if self.shape != src.shape:
            raise InputValueError(
                f"copy_ needs equal shapes: {self.shape} (role "
                f"{shorten(self.role)!r}) cannot take data of shape {src.shape}."
            )
        mine, theirs = _data.kind_of(self.data), _data.kind_of(src.data)
        if mine is not None and theirs is not None and mine != theirs:
            raise InputValueError(
                f"copy_ needs the same kind of data: {mine} (role "
                f"{shorten(self.role)!r}) cannot take {theirs}."
            )
        self.data = src.data
        self.role = src.role
        self.requires_grad = src.requires_grad
        return self

    def to(self, dtype: Callable[[Any], Any] | None = None) -> Variable:
        """Return a new leaf with ``dtype`` applied to every value that is not None."""
        data = self.data if dtype is None else _data.convert(self.data, dtype)
        return Variable(data, self.role, self.requires_grad)

    def is_floating_point(self) -> bool:
        """Whether data is a float, or a list whose values are all floats."""
        return _data.is_all_float(self.data)

    @classmethod
    def _make(
        cls, value: Data | Pending, role: str, node: Node | None, output_nr: int
    ) -> Variable:
        """Return an operation's output without validating its value again."""
        result = Variable(None, role, node is not None)
        result._value = value
        result._grad_fn, result._output_nr = node, output_nr
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if not self.is_leaf:
            raise StateError(
                "only leaf Variables can be deep-copied; call detach() first (role "
                f"{shorten(self.role)!r})."
            )
        result = self.__class__.__new__(self.__class__)
        memo[id(self)] = result
        Variable.__init__(result, self.data, self.role, self.requires_grad)
        result._retain_grad = self._retain_grad
        result._evidence = self._evidence
        if self._grad and not self._drops_grad_on_copy:
            result._grad = copy.deepcopy(self._grad, memo)
        return result


def is_variable(obj: object) -> bool:
    """Whether ``obj`` is a Variable."""
    return isinstance(obj, Variable)


def is_scalar_variable(obj: object) -> bool:
    """Whether ``obj`` is a Variable that holds text or a number."""
    return isinstance(obj, Variable) and isinstance(obj.data, (str, int, float))
