"""Optimizers: they change parameters by what the feedback says, and keep the record."""

from afnio.optim import (
    controls,
    gates,
    lr_scheduler,
    memory,
    pools,
    proposers,
    records,
)
from afnio.optim._engine import Search
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim.closures import SampleClosure
from afnio.optim.controls import (
    BestOfN,
    NoOp,
    RandomDemos,
    RandomRewrite,
    ShuffledFeedback,
)
from afnio.optim.few_shot import FewShot
from afnio.optim.gepa import GEPA
from afnio.optim.optimizer import Optimizer
from afnio.optim.patch_tgd import PatchTGD
from afnio.optim.tgd import TGD, RewriteOptions, tgd

__all__ = [
    "GEPA",
    "TGD",
    "BestOfN",
    "FewShot",
    "Minibatch",
    "NoOp",
    "Optimizer",
    "Parts",
    "PatchTGD",
    "RandomDemos",
    "RandomRewrite",
    "RewriteOptions",
    "SampleClosure",
    "Search",
    "ShuffledFeedback",
    "Stop",
    "controls",
    "gates",
    "lr_scheduler",
    "memory",
    "pools",
    "proposers",
    "records",
    "tgd",
]
