"""Automatic differentiation of text: the graph, the engine, and the operations."""

from afnio.autodiff import (
    anomaly,
    basic_ops,
    credit,
    decorators,
    evaluator,
    evidence,
    function,
    grad_mode,
    graph,
    lm_ops,
    text_ops,
)
from afnio.autodiff._backward import abackward, agrad, backward, grad
from afnio.autodiff.anomaly import (
    detect_anomaly,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from afnio.autodiff.credit import credit_mode, get_credit_mode
from afnio.autodiff.function import Function
from afnio.autodiff.grad_mode import (
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "abackward",
    "agrad",
    "anomaly",
    "backward",
    "basic_ops",
    "credit",
    "credit_mode",
    "decorators",
    "detect_anomaly",
    "enable_grad",
    "evaluator",
    "evidence",
    "function",
    "get_credit_mode",
    "grad",
    "grad_mode",
    "graph",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "lm_ops",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "text_ops",
]
