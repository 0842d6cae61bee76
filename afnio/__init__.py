"""PyTorch for programs made of language-model calls.

Variables and Parameters hold text, operations record a graph, ``backward()`` asks
a gradient model for critiques, optimizers rewrite Parameters from them. Everything runs
in this process.

The import loads the core only; `afnio.cognitive`, `afnio.optim`, `afnio.trainer` and
the others load when first used.
"""

from typing import TYPE_CHECKING

from afnio import autodiff
from afnio._dispatch import eager, synchronize
from afnio._lazy import attach as _attach
from afnio._variable import JAGGED, Variable, is_scalar_variable, is_variable
from afnio._version import __version__
from afnio.autodiff import (
    Function,
    credit_mode,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from afnio.autodiff.graph import GradientEdge, Node

if TYPE_CHECKING:
    from afnio import (
        cognitive,
        evaluation,
        exporting,
        models,
        optim,
        serialization,
        tracking,
        trainer,
        utils,
    )
    from afnio.autodiff._chat import MultiTurnMessages
    from afnio.autodiff._chat import validate_messages as _validate_multi_turn_messages
    from afnio.autodiff._chat import validate_sequence as _validate_typed_sequence
    from afnio.cognitive import functional
    from afnio.cognitive.parameter import Parameter
    from afnio.models import get_backward_model_client, set_backward_model_client
    from afnio.serialization import load, save

__getattr__, __dir__ = _attach(
    __name__,
    {
        "MultiTurnMessages": "afnio.autodiff._chat:MultiTurnMessages",
        "Parameter": "afnio.cognitive.parameter:Parameter",
        "_validate_multi_turn_messages": "afnio.autodiff._chat:validate_messages",
        "_validate_typed_sequence": "afnio.autodiff._chat:validate_sequence",
        "cognitive": "afnio.cognitive",
        "evaluation": "afnio.evaluation",
        "exporting": "afnio.exporting",
        "functional": "afnio.cognitive.functional",
        "get_backward_model_client": "afnio.models:get_backward_model_client",
        "load": "afnio.serialization:load",
        "models": "afnio.models",
        "optim": "afnio.optim",
        "save": "afnio.serialization:save",
        "serialization": "afnio.serialization",
        "set_backward_model_client": "afnio.models:set_backward_model_client",
        "tracking": "afnio.tracking",
        "trainer": "afnio.trainer",
        "utils": "afnio.utils",
    },
)

__all__ = [
    "JAGGED",
    "Function",
    "GradientEdge",
    "MultiTurnMessages",
    "Node",
    "Parameter",
    "Variable",
    "__version__",
    "_validate_multi_turn_messages",
    "_validate_typed_sequence",
    "autodiff",
    "cognitive",
    "credit_mode",
    "eager",
    "enable_grad",
    "evaluation",
    "exporting",
    "functional",
    "get_backward_model_client",
    "is_grad_enabled",
    "is_scalar_variable",
    "is_variable",
    "load",
    "models",
    "no_grad",
    "optim",
    "save",
    "serialization",
    "set_backward_model_client",
    "set_grad_enabled",
    "synchronize",
    "tracking",
    "trainer",
    "utils",
]
