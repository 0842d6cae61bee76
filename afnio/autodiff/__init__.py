"""Automatic differentiation of text: the graph, the engine, and the operations.

Operations that ask models, and tools, load when first used.
"""

from typing import TYPE_CHECKING

from afnio._lazy import attach as _attach
from afnio.autodiff import (
    anomaly,
    basic_ops,
    credit,
    decorators,
    function,
    grad_mode,
    graph,
    text_ops,
)
from afnio.autodiff._backward import abackward, agrad, backward, grad
from afnio.autodiff.anomaly import (
    detect_anomaly,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from afnio.autodiff.credit import (
    credit_mode,
    critic_prompt,
    get_credit_mode,
    get_critic_prompt,
)
from afnio.autodiff.function import Function
from afnio.autodiff.grad_mode import (
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from afnio.autodiff.gradcheck import gradcheck

if TYPE_CHECKING:
    from afnio.autodiff import evaluator, evidence, lm_ops
    from afnio.autodiff._dry_run import CriticCall, adry_run, dry_run
    from afnio.autodiff.drawing import draw, draw_html, draw_svg

__getattr__, __dir__ = _attach(
    __name__,
    {
        "CriticCall": "afnio.autodiff._dry_run:CriticCall",
        "adry_run": "afnio.autodiff._dry_run:adry_run",
        "draw": "afnio.autodiff.drawing:draw",
        "draw_html": "afnio.autodiff.drawing:draw_html",
        "draw_svg": "afnio.autodiff.drawing:draw_svg",
        "dry_run": "afnio.autodiff._dry_run:dry_run",
        "evaluator": "afnio.autodiff.evaluator",
        "evidence": "afnio.autodiff.evidence",
        "lm_ops": "afnio.autodiff.lm_ops",
    },
)

__all__ = [
    "CriticCall",
    "Function",
    "abackward",
    "adry_run",
    "agrad",
    "anomaly",
    "backward",
    "basic_ops",
    "credit",
    "credit_mode",
    "critic_prompt",
    "decorators",
    "detect_anomaly",
    "draw",
    "draw_html",
    "draw_svg",
    "dry_run",
    "enable_grad",
    "evaluator",
    "evidence",
    "function",
    "get_credit_mode",
    "get_critic_prompt",
    "grad",
    "grad_mode",
    "gradcheck",
    "graph",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "lm_ops",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "text_ops",
]
