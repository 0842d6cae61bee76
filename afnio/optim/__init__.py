"""Optimizers: they change parameters by what the feedback says, and keep the record."""

from afnio.optim import controls, gates, records
from afnio.optim.controls import (
    BestOfN,
    NoOp,
    RandomDemos,
    RandomRewrite,
    ShuffledFeedback,
)
from afnio.optim.few_shot import FewShot
from afnio.optim.optimizer import Optimizer
from afnio.optim.tgd import TGD, RewriteOptions, tgd

__all__ = [
    "TGD",
    "BestOfN",
    "FewShot",
    "NoOp",
    "Optimizer",
    "RandomDemos",
    "RandomRewrite",
    "RewriteOptions",
    "ShuffledFeedback",
    "controls",
    "gates",
    "records",
    "tgd",
]
