"""Function: a differentiable operation with its own forward and backward.

`Function` is for users: its outputs are known once ``forward`` has run, so it waits for
pending inputs. `Op` is for operations that can say beforehand how many outputs they
have: they return at once and compute later.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, cast

from afnio import _dispatch
from afnio._data import copy_data
from afnio._dispatch import Deferred, call_site
from afnio._variable import Pending, Variable
from afnio.autodiff._form import Form
from afnio.autodiff._inputs import Inputs
from afnio.autodiff._node import FunctionNode
from afnio.autodiff.anomaly import is_anomaly_enabled
from afnio.autodiff.grad_mode import is_grad_enabled, no_grad
from afnio.autodiff.graph import NO_EDGE, GradientEdge, Node
from afnio.errors import InputTypeError, StateError

__all__ = ["NO_EDGE", "Function", "FunctionNode", "GradientEdge", "Node", "Op"]


class Function:
    """A differentiable operation; subclass it and call ``apply``.

    Define ``forward(ctx, *args)``, or ``forward(*args)`` with ``setup_context``, and
    ``backward(ctx, *grad_outputs)``, all static; ``forward`` and ``backward`` may be
    ``async def``. Forward returns a Variable or a tuple of them; backward returns one
    gradient per input of forward: a Variable, a text, a list of them for an input that
    holds several Variables, or None where none is needed. Backward is given empty text
    for an output that nobody used; it must answer empty feedback with empty feedback,
    which `afnio.autodiff.gradcheck` checks.

    Examples:
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
    _forward_is_async: ClassVar[bool] = False
    _node_type: ClassVar[type[FunctionNode]]

    def __init__(self) -> None:
        raise StateError(
            f"{type(self).__name__} is not instantiated; call "
            f"{type(self).__name__}.apply(...)."
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        is_async = inspect.iscoroutinefunction(cls.backward)
        cls._forward_is_async = inspect.iscoroutinefunction(cls.forward)
        cls._node_type = type(
            f"{cls.__name__}Backward0",
            (FunctionNode,),
            {
                "_function": cls,
                "_trusted": cls._trusted,
                "_quick": cls._trusted and not is_async,
                "__slots__": (),
            },
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
        if kwargs:
            args, kwargs = _form(cast("Any", cls)).bind(args, kwargs)
        inputs = Inputs(args, kwargs)
        for job in inputs.pending():
            job.result()
        node = cls._node_type(inputs)
        if is_anomaly_enabled():
            node._site = call_site()
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
            node._outputs = len(outputs)
        made = tuple(
            Variable._make(_own(item), item.role, node if tracked else None, index)
            for index, item in enumerate(outputs)
        )
        for new, item in zip(made, outputs, strict=True):
            new._evidence = item._evidence
        return made if isinstance(output, tuple) else made[0]


def _own(variable: Variable) -> Any:
    """Return a value for another Variable, sharing no list with this one."""
    value = variable._value
    return value if type(value) is Pending else copy_data(value)


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@functools.cache
def _form(function: type[Function]) -> Form:
    """Return the form of a call: that of forward, without the context."""
    skipped = int(function.setup_context is Function.setup_context)
    return Form.of(function.forward, skipped)


def is_evaluator(node: Node | None) -> bool:
    """Whether a node's Function may start a backward without a gradient."""
    function = getattr(node, "_function", None)
    return function is not None and bool(function._is_evaluator)


class Op(Function):
    """A Function that knows its outputs before it runs, so it need not wait.

    ``plan`` validates the arguments and returns the role of each output; it must not
    read pending data. ``forward`` returns the outputs' data: one value if there is one
    role, else a tuple. An ``async def forward`` always runs on the background loop.
    """

    _trusted = True

    @staticmethod
    def plan(*args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Validate the arguments and return the outputs' roles."""
        raise NotImplementedError

    @staticmethod
    def wants_grad(needs: tuple[bool, ...], *args: Any) -> tuple[bool, ...]:
        """Narrow down which inputs can receive feedback; all, unless overridden."""
        del args
        return needs

    @staticmethod
    def calls_user(*args: Any, **kwargs: Any) -> bool:
        """Whether forward calls a user's function, so it must not run on the loop."""
        del args, kwargs
        return False

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Record the operation; compute now if that takes no waiting."""
        if kwargs:
            args, kwargs = _form(cast("Any", cls)).bind(args, kwargs)
        roles = cls.plan(*args, **kwargs)
        inputs = Inputs(args, kwargs)
        inputs.needs_grad = cls.wants_grad(inputs.needs_grad, *args)
        node = cls._node_type(inputs)
        node._outputs = len(roles)
        tracked = True in inputs.needs_grad and is_grad_enabled()
        if tracked:
            node.next_functions = inputs.edges()
            if is_anomaly_enabled():
                node._site = call_site()
        jobs = inputs.pending()
        if jobs or cls._forward_is_async or cls._is_unwelcome(args, kwargs):
            values: Any = cls._defer(node, inputs, jobs)
        else:
            values = _as_tuple(cls.forward(node, *args, **kwargs), len(roles))
        owner = node if tracked else None
        if len(roles) == 1:
            made: tuple[Variable, ...] = (
                Variable._make(values[0], roles[0], owner, 0),
            )
        else:
            made = tuple(
                Variable._make(value, role, owner, index)
                for index, (value, role) in enumerate(zip(values, roles, strict=True))
            )
        if cls._is_evaluator:
            for variable in made:
                variable._evidence = node
        return made if len(made) > 1 else made[0]

    @classmethod
    def _is_unwelcome(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether forward must not run in this thread."""
        return _dispatch.is_on_loop() and cls.calls_user(*args, **kwargs)

    @classmethod
    def _defer(
        cls, node: FunctionNode, inputs: Inputs, jobs: list[Deferred[Any]]
    ) -> list[Pending]:
        job: Deferred[tuple[Any, ...]] = Deferred(cls.__name__, call_site())
        node._job = job
        args, kwargs = inputs.snapshots()
        _dispatch.spawn(cls._compute(node, args, kwargs, jobs), job, bounded=True)
        if _dispatch.is_eager() and not _dispatch.is_on_loop():
            job.result()
        return [Pending(job, index) for index in range(node._outputs)]

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
        if cls.calls_user(*args, **kwargs):
            result = await _dispatch.call_user(
                functools.partial(forward, *args, **kwargs), order=node.sequence_nr
            )
        else:
            result = forward(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        return _as_tuple(result, node._outputs)


def _as_tuple(result: Any, outputs: int) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", result) if outputs > 1 else (result,)
