"""Optimizers: they change parameters by what the feedback says, and keep the record."""

from afnio.optim import (
    controls,
    gates,
    lr_scheduler,
    memory,
    pools,
    proposers,
    records,
    screens,
)
from afnio.optim._engine import Search
from afnio.optim._parts import Minibatch, Parts, Stop
from afnio.optim.beam_tgd import BeamTGD
from afnio.optim.bootstrap_few_shot import BootstrapFewShot
from afnio.optim.closures import SampleClosure
from afnio.optim.controls import (
    BestOfN,
    NoOp,
    RandomDemos,
    RandomRewrite,
    ShuffledFeedback,
)
from afnio.optim.feedback_descent import FeedbackDescent
from afnio.optim.few_shot import FewShot
from afnio.optim.gepa import GEPA
from afnio.optim.mipro import MIPRO
from afnio.optim.opro import OPRO
from afnio.optim.optimizer import Optimizer
from afnio.optim.opto_prime import OptoPrime
from afnio.optim.patch_tgd import PatchTGD
from afnio.optim.simba import SIMBA
from afnio.optim.tgd import TGD, RewriteOptions, tgd

__all__ = [
    "GEPA",
    "MIPRO",
    "OPRO",
    "SIMBA",
    "TGD",
    "BeamTGD",
    "BestOfN",
    "BootstrapFewShot",
    "FeedbackDescent",
    "FewShot",
    "Minibatch",
    "NoOp",
    "Optimizer",
    "OptoPrime",
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
    "screens",
    "tgd",
]
