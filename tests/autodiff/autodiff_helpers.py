"""Operations that several tests share."""

from __future__ import annotations

from afnio import Variable
from afnio.autodiff.function import Function


class Breaks(Function):
    """Its backward raises while it is broken."""

    broken = True

    @staticmethod
    def forward(ctx, x):
        return Variable(x.data, x.role)

    @staticmethod
    def backward(ctx, grad):
        if Breaks.broken:
            raise KeyError("broken")
        return grad
