"""The recorded graph: nodes, edges, and the hooks on them."""

from __future__ import annotations

import itertools
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    NoReturn,
    Self,
    SupportsIndex,
)

from afnio._text import shorten
from afnio._variable import Variable
from afnio.errors import InputTypeError, StateError

if TYPE_CHECKING:
    from afnio._dispatch import Deferred

_sequence: Final = itertools.count()
_handle_ids: Final = itertools.count()

Grads = tuple[Variable | None, ...]


class GradientEdge(NamedTuple):
    """One input of a node: the node that computed it, and which of its outputs."""

    node: Node | None
    output_nr: int

    def __str__(self) -> str:
        return f"({self.node}, {self.output_nr})"

    def __repr__(self) -> str:
        return str(self)


NO_EDGE: Final = GradientEdge(None, 0)
"""The edge of an input that does not require grad."""


class RemovableHandle:
    """Removes a hook again; also usable as a context manager."""

    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any]) -> None:
        if not callable(hook):
            raise InputTypeError(
                f"a hook must be a function, got {type(hook).__name__}: "
                f"{shorten(hook)}."
            )
        self.id = next(_handle_ids)
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Remove the hook; harmless if it is gone already."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.remove()


class Hooks:
    """The hooks on one node; most nodes have none."""

    __slots__ = ("gradients", "post", "pre", "retained")

    def __init__(self) -> None:
        self.pre: dict[int, Callable[..., Any]] = {}
        self.post: dict[int, Callable[..., Any]] = {}
        self.gradients: dict[int, dict[int, Callable[..., Any]]] = {}
        self.retained: dict[int, weakref.ref[Variable]] = {}


class Node:
    """One recorded operation; the backward pass calls it once.

    A node runs after all consumers of its outputs have delivered their gradients.
    """

    __slots__ = ("__weakref__", "_hooks", "_job", "next_functions", "sequence_nr")

    qualifier: ClassVar[str] = "afnio.autodiff.graph"
    _trusted: ClassVar[bool] = False
    """Ours: its backward may run on the event loop thread."""
    _quick: ClassVar[bool] = False
    """Ours, and its backward never waits."""
    _outputs: int = 1
    """How many outputs the operation had."""
    _freed: bool = False
    """Whether a backward has released what was saved."""

    def __init__(self, next_functions: tuple[GradientEdge, ...] = ()) -> None:
        self.next_functions = next_functions
        self.sequence_nr = next(_sequence)
        self._hooks: Hooks | None = None
        self._job: Deferred[Any] | None = None

    def name(self) -> str:
        """Return the node's name, such as ``AddBackward0``."""
        return type(self).__name__

    @property
    def node_id(self) -> str:
        """A name that is unique in this process."""
        return f"{type(self).__name__}-{self.sequence_nr}"

    @abstractmethod
    def apply(self, *grad_outputs: Variable | None) -> Any:
        """Return one gradient per edge; may return an awaitable of them."""
        raise NotImplementedError

    def _flatten(self, result: Any) -> Sequence[Any]:
        """Bring what ``apply`` returned into the order of the edges."""
        return result if isinstance(result, (tuple, list)) else (result,)

    def _release(self) -> None:
        """Let go of what was saved for backward."""

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after the node has run.

        What it returns, unless None, takes the place of ``grad_inputs``.

        Raises:
            InputTypeError: ``hook`` cannot be called.
        """
        return RemovableHandle(self._get_hooks().post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before the node runs.

        What it returns, unless None, takes the place of ``grad_outputs``.

        Raises:
            InputTypeError: ``hook`` cannot be called.
        """
        return RemovableHandle(self._get_hooks().pre, hook)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse copies and pickles: they would be a second graph, cut off.

        Raises:
            StateError: Always.
        """
        raise StateError(
            f"{type(self).__name__} is part of a graph and can be neither copied nor "
            "pickled; copy the detach()ed Variable instead."
        )

    def _retain(self, variable: Variable) -> None:
        """Append the gradient of this output to ``variable.grad``."""
        self._get_hooks().retained[variable.output_nr] = weakref.ref(variable)

    def _get_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def __str__(self) -> str:
        return f"<{type(self).__name__} object at {hex(id(self))}>"

    def __repr__(self) -> str:
        return f"<{self.qualifier}.{type(self).__name__} object at {hex(id(self))}>"


class AccumulateGrad(Node):
    """The end of the graph at a leaf: what arrives is appended to its ``grad``."""

    __slots__ = ("variable",)

    qualifier = "afnio.autodiff.function"

    def __init__(self, variable: Variable) -> None:
        super().__init__()
        self.variable = variable

    def apply(self, *grad_outputs: Variable | None) -> tuple[()]:
        """Return nothing: there is nowhere further to go."""
        del grad_outputs
        return ()


def topological(roots: Iterable[Node]) -> list[Node]:
    """List the nodes reachable from ``roots``, every node after all its consumers."""
    seen: set[Node] = set()
    done: list[Node] = []
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(root.next_functions))]
        while stack:
            node, edges = stack[-1]
            for following, _ in edges:
                if following is not None and following not in seen:
                    seen.add(following)
                    stack.append((following, iter(following.next_functions)))
                    break
            else:
                stack.pop()
                done.append(node)
    done.reverse()
    return done


def edge_of(variable: Variable) -> GradientEdge:
    """Return the edge that gradients of ``variable`` flow along."""
    if not variable.requires_grad:
        return NO_EDGE
    if (node := variable._grad_fn) is not None:
        return GradientEdge(node, variable._output_nr)
    reference = variable._accumulator
    accumulator = None if reference is None else reference()
    if accumulator is None:
        accumulator = AccumulateGrad(variable)
        variable._accumulator = weakref.ref(accumulator)
    return GradientEdge(accumulator, 0)


def get_gradient_edge(variable: Variable) -> GradientEdge:
    """Return the edge of ``variable``, for `afnio.autodiff.grad` and ``inputs=``.

    Raises:
        InputTypeError: It is not a Variable.
        StateError: The Variable does not require grad.
    """
    if not isinstance(variable, Variable):
        raise InputTypeError(
            f"only a Variable has a gradient edge, got {type(variable).__name__}: "
            f"{shorten(variable)}."
        )
    if not variable.requires_grad:
        raise StateError(
            f"a Variable that does not require grad has no edge (role "
            f"{variable.role!r}); set requires_grad=True before it is used."
        )
    return edge_of(variable)


def register_variable_hook(
    variable: Variable, hook: Callable[[Variable], Variable | None]
) -> RemovableHandle:
    """Register a gradient hook on a leaf, or on the output of a node."""
    if not variable.requires_grad:
        raise StateError(
            "cannot register a hook on a Variable that does not require grad "
            f"(role {variable.role!r})."
        )
    if variable._grad_fn is not None:
        hooks = variable._grad_fn._get_hooks().gradients
        return RemovableHandle(hooks.setdefault(variable._output_nr, {}), hook)
    if variable._hooks is None:
        variable._hooks = {}
    return RemovableHandle(variable._hooks, hook)
