"""Function: a differentiable operation with its own forward and backward.

`Function` is for users: its outputs are known once ``forward`` has run, so it waits for
pending inputs. `Op` is for operations that can say beforehand how many outputs they
have: they return at once and compute later.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, cast

from afnio import _dispatch
from afnio._dispatch import Deferred, call_site
from afnio._text import shorten
from afnio._variable import Pending, Variable
from afnio.autodiff.evidence import Evidence
from afnio.autodiff.grad_mode import is_grad_enabled, no_grad
from afnio.autodiff.graph import NO_EDGE, GradientEdge, Node, edge_of
from afnio.errors import GradientCountError, InputTypeError, StateError


class _Snapshot(Variable):
    """A Variable's value as it was when an operation was called."""

    __slots__ = ("origin",)

    origin: Variable

    def __getattr__(self, name: str) -> Any:
        """Find what a subclass of Variable adds, such as a Parameter's fields."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.origin, name)


def _snapshot(variable: Variable) -> _Snapshot:
    copy = _Snapshot.__new__(_Snapshot)
    Variable.__init__(copy, None, variable.role, variable.requires_grad)
    copy._value, copy._version = variable._value, variable._version
    copy._evidence = variable._evidence
    copy.origin = variable
    return copy


class FunctionNode(Node):
    """A `Function`'s node, and the ``ctx`` that its forward and backward share.

    Attributes:
        needs_input_grad: Per forward input, whether a gradient is wanted.
        saved_variables: What ``save_for_backward`` was given.
    """

    __slots__ = (
        "__dict__",
        "_counts",
        "_freed",
        "_saved",
        "_versions",
        "evidence",
        "outputs",
    )

    function: ClassVar[type[Function]]
    qualifier = "afnio.autodiff.function"

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self._counts = inputs.counts
        self._saved: tuple[Variable, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._freed = False
        self.outputs = 1
        self.evidence: tuple[Evidence, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = inputs.needs_grad

    @property
    def freed(self) -> bool:
        """Whether a backward has released what this node had saved."""
        return self._freed

    def save_for_backward(self, *variables: Variable) -> None:
        """Keep Variables for backward, and notice if a leaf among them changes."""
        self._saved = variables
        self._versions = tuple(variable._version for variable in variables)

    @property
    def saved_variables(self) -> tuple[Variable, ...]:
        """The Variables given to ``save_for_backward``.

        Raises:
            StateError: A leaf among them was written in place since.
        """
        for variable, version in zip(self._saved, self._versions, strict=True):
            leaf = variable.origin if isinstance(variable, _Snapshot) else variable
            if leaf._grad_fn is None and leaf._version != version:
                raise StateError(
                    f"a Variable needed for backward was changed in place: role "
                    f"{shorten(leaf.role)!r} is at version {leaf._version}, "
                    f"{self.name()} saved version {version}. Run backward before "
                    "assigning data, or compute the forward again."
                )
        return self._saved

    def apply(self, *grad_outputs: Variable | None) -> Any:
        """Call the Function's backward."""
        return self.function.backward(self, *grad_outputs)

    def release(self) -> None:
        """Let go of what was saved for backward."""
        self._freed = True
        self._saved, self._versions = (), ()
        self.__dict__.clear()
        self.job = None

    def flatten(self, grads: Any) -> list[Any]:
        """Bring what backward returned into the order of the edges.

        Raises:
            GradientCountError: There are too few or too many.
        """
        counts = self._counts
        grads = grads if isinstance(grads, (tuple, list)) else (grads,)
        surplus = [grad for grad in grads[len(counts) :] if grad is not None]
        if len(grads) < len(counts) or any(_flat(surplus)):
            raise GradientCountError(
                f"{self.function.__name__}.backward returned {len(grads)} gradients "
                f"for {len(counts)} inputs. Return one per input of forward, and None "
                "where none is needed."
            )
        flat: list[Any] = []
        for position, (grad, count) in enumerate(zip(grads, counts, strict=False)):
            flat.extend(self._expand(grad, count, position))
        return flat

    def _expand(self, grad: Any, count: int, position: int) -> list[Any]:
        if count == _IS_VARIABLE:
            return [grad]
        if grad is None or count == 0:
            return [None] * count
        nested = list(_flat(grad))
        if len(nested) != count:
            raise GradientCountError(
                f"{self.function.__name__}.backward returned {len(nested)} gradients "
                f"for input {position}, which holds {count} Variables."
            )
        return nested


_IS_VARIABLE = -1
"""The count of an input that is itself a Variable."""


def _flat(nested: Any) -> Iterable[Any]:
    if isinstance(nested, Mapping):
        nested = nested.values()
    elif not isinstance(nested, (list, tuple)):
        yield nested
        return
    for item in nested:
        yield from _flat(item)


class Inputs:
    """The arguments of one call, and the Variables in them."""

    __slots__ = ("args", "counts", "needs_grad", "variables")

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        self.variables: list[Variable] = []
        counts, needs = [], []
        for arg in args:
            if isinstance(arg, Variable):
                self.variables.append(arg)
                counts.append(_IS_VARIABLE)
                needs.append(arg.requires_grad)
            elif isinstance(arg, (list, tuple, dict)):
                nested = [item for item in _flat(arg) if isinstance(item, Variable)]
                self.variables.extend(nested)
                counts.append(len(nested))
                needs.append(any(item.requires_grad for item in nested))
            else:
                counts.append(0)
                needs.append(False)
        self.counts = tuple(counts)
        self.needs_grad = tuple(needs)

    def edges(self) -> tuple[GradientEdge, ...]:
        """Return one edge per Variable."""
        return tuple(edge_of(variable) for variable in self.variables)

    def pending(self) -> list[Deferred[Any]]:
        """Return the jobs that have to finish first."""
        values = (variable._value for variable in self.variables)
        jobs = (value.job for value in values if type(value) is Pending)
        return [job for job in jobs if not job.done() or job.error() is not None]

    def frozen(self) -> tuple[Any, ...]:
        """Return the arguments with every Variable as it is now."""
        copies = {id(variable): _snapshot(variable) for variable in self.variables}
        return tuple(_replace(arg, copies) for arg in self.args)


def _replace(value: Any, copies: dict[int, _Snapshot]) -> Any:
    if isinstance(value, Variable):
        return copies[id(value)]
    if isinstance(value, dict):
        return {key: _replace(item, copies) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replace(item, copies) for item in value)
    return value


class Function:
    """A differentiable operation; subclass it and call ``apply``.

    Define ``forward(ctx, *args)``, or ``forward(*args)`` with ``setup_context``, and
    ``backward(ctx, *grad_outputs)``, all static; ``forward`` and ``backward`` may be
    ``async def``. Forward returns a Variable or a tuple of them; backward returns one
    gradient per input of forward, None where none is needed.

    Example:
        >>> from afnio import Variable
        >>> class Shout(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return Variable(x.data + "!", role=x.role)
        ...
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         return Variable(f"Before shouting: {grad.data}")
        >>> x = Variable("hey", "greeting", requires_grad=True)
        >>> y = Shout.apply(x)
        >>> y.backward(Variable("too rude"))
        >>> y.data, x.grad[0].data
        ('hey!', 'Before shouting: too rude')
    """

    _is_evaluator: ClassVar[bool] = False
    _trusted: ClassVar[bool] = False
    _node_type: ClassVar[type[FunctionNode]]

    def __init__(self) -> None:
        raise StateError(
            f"{type(self).__name__} is not instantiated; call "
            f"{type(self).__name__}.apply(...)."
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node_type = type(
            f"{cls.__name__}Backward0",
            (FunctionNode,),
            {"function": cls, "trusted": cls._trusted, "__slots__": ()},
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function must define a static forward")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save what backward needs; only for a forward without ``ctx``."""
        raise NotImplementedError("a Function may define a static setup_context")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return one gradient per input of forward."""
        raise NotImplementedError("a Function must define a static backward")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and record it in the graph.

        Raises:
            InputTypeError: Forward returned something that is not a Variable.
        """
        args, kwargs = _bind(cls, args, kwargs)
        inputs = Inputs(args)
        for job in inputs.pending():
            job.result()
        node = cls._node_type(inputs)
        with no_grad():
            output = cls._call_forward(node, args, kwargs)
            if inspect.isawaitable(output):
                output = _dispatch.run_sync(_await(output))
            if cls.setup_context is not Function.setup_context:
                cls.setup_context(node, args, output)
        return cls._record(node, inputs, output)

    @classmethod
    def _call_forward(cls, node: FunctionNode, args: Any, kwargs: Any) -> Any:
        if cls.setup_context is not Function.setup_context:
            return cls.forward(*args, **kwargs)
        return cls.forward(node, *args, **kwargs)

    @classmethod
    def _record(cls, node: FunctionNode, inputs: Inputs, output: Any) -> Any:
        outputs = output if isinstance(output, tuple) else (output,)
        for item in outputs:
            if not isinstance(item, Variable):
                raise InputTypeError(
                    f"{cls.__name__}.forward must return a Variable or a tuple of "
                    f"Variables, got {type(item).__name__}."
                )
        tracked = is_grad_enabled() and any(inputs.needs_grad)
        if tracked:
            node.next_functions = inputs.edges()
            node.outputs = len(outputs)
        made = tuple(
            Variable._make(item._value, item.role, node if tracked else None, index)
            for index, item in enumerate(outputs)
        )
        for new, item in zip(made, outputs, strict=True):
            new._evidence = item._evidence
        return made if isinstance(output, tuple) else made[0]


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@functools.cache
def _signature(function: type[Function]) -> inspect.Signature:
    signature = inspect.signature(function.forward)
    if function.setup_context is not Function.setup_context:
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _bind(
    function: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Turn keyword arguments that forward names into positional ones."""
    if not kwargs:
        return args, kwargs
    bound = _signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


def is_evaluator(node: Node | None) -> bool:
    """Whether a node's Function may start a backward without a gradient."""
    function = getattr(node, "function", None)
    return function is not None and bool(function._is_evaluator)


class Op(Function):
    """A Function that knows its outputs before it runs, so it need not wait.

    ``plan`` validates the arguments and returns the role of each output; it must not
    read pending data. ``forward`` returns the outputs' data: one value if there is one
    role, else a tuple. An ``async def forward`` always runs on the background loop.
    """

    _trusted = True
    _user_code: ClassVar[bool] = False
    """Whether forward calls a user's function, so it must not run on the loop."""

    @staticmethod
    def plan(*args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Validate the arguments and return the outputs' roles."""
        raise NotImplementedError

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Narrow down which inputs can receive feedback; all, unless overridden."""
        del args
        return needs

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Record the operation; compute now if that takes no waiting."""
        if kwargs:
            args, kwargs = _bind(cls, args, kwargs)
        roles = cls.plan(*args, **kwargs)
        inputs = Inputs(args)
        inputs.needs_grad = cls.wants_grad(inputs.needs_grad, *args)
        node = cls._node_type(inputs)
        node.outputs = len(roles)
        tracked = is_grad_enabled() and True in inputs.needs_grad
        if tracked:
            node.next_functions = inputs.edges()
        jobs = inputs.pending()
        if jobs or inspect.iscoroutinefunction(cls.forward):
            values: Any = cls._defer(node, inputs, kwargs, jobs, len(roles))
        else:
            values = _as_tuple(cls.forward(node, *args, **kwargs), len(roles))
        owner = node if tracked else None
        made = tuple(
            Variable._make(value, role, owner, index)
            for index, (value, role) in enumerate(zip(values, roles, strict=True))
        )
        if cls._is_evaluator:
            for variable in made:
                variable._evidence = node
        return made if len(made) > 1 else made[0]

    @classmethod
    def _defer(
        cls,
        node: FunctionNode,
        inputs: Inputs,
        kwargs: dict[str, Any],
        jobs: list[Deferred[Any]],
        outputs: int,
    ) -> list[Pending]:
        job: Deferred[tuple[Any, ...]] = Deferred(cls.__name__, call_site())
        node.job = job
        work = cls._compute(node, inputs.frozen(), kwargs, jobs)
        _dispatch.spawn(work, job, bounded=True)
        if _dispatch.is_eager():
            job.result()
        return [Pending(job, index) for index in range(outputs)]

    @classmethod
    async def _compute(
        cls,
        node: FunctionNode,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        jobs: list[Deferred[Any]],
    ) -> tuple[Any, ...]:
        for job in jobs:
            await job
        forward: Callable[..., Any] = functools.partial(cls.forward, node)
        if cls._user_code:
            result = await _dispatch.call_user(
                functools.partial(forward, *args, **kwargs), order=node.sequence_nr
            )
        else:
            result = forward(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        return _as_tuple(result, node.outputs)


def _as_tuple(result: Any, outputs: int) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", result) if outputs > 1 else (result,)


__all__ = ["NO_EDGE", "Function", "FunctionNode", "GradientEdge", "Node", "Op"]
