"""What calls may cost in all: reserved before a call, settled after it.

Every enclosing budget is charged, whichever role or model asks. A call whose worst case
does not fit beside what is in flight waits for that to settle; one that cannot fit at
all raises `BudgetError`, and nothing is sent.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from afnio._hints import hinted
from afnio.errors import BudgetError, InputTypeError, InputValueError
from afnio.models._amounts import NOTHING, Amount, Worst
from afnio.models._checks import check_number
from afnio.models._loop_local import LoopLocal
from afnio.models._settings import Applied, Setting

_serial: Final = count(1)


@dataclass(slots=True)
class _Queue:
    """Callers that wait for room, on one loop: one tries, the others stand in line."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    length: int = 0


@hinted(cost="usd", dollars="usd", max_calls="calls", max_cost="usd")
class Budget:
    """A limit on what calls of all roles may cost together.

    ``with Budget(usd=5):`` charges every call dispatched inside the block; budgets
    nest, and each is charged. A budget can be entered again, to spend what is left.
    `set_budget` charges the whole process, other threads included.

    The worst case of a call is its prompt, counted as one token per byte, plus
    ``max_tokens`` or ``max_completion_tokens``, or else the client's
    ``default_max_tokens``. Give the former and the limit is never exceeded; a reply
    longer than the latter is charged in full, and then nothing new starts. A reply
    without usage is charged by an estimate; an attempt that timed out or was cancelled
    under way may be billed all the same, so its prompt is charged as it was reserved. A
    reply that cannot be read is charged as well, and asked for again only if there is
    room for another one.

    Args:
        usd: US dollars; models without a known price are refused.
        tokens: Prompt and reply tokens together.
        calls: Calls; retries of one call count once, cached replies not at all.
        seconds: Wall-clock seconds from the first entry; nothing starts later.
        clock: Tells seconds; injected by tests.

    Raises:
        InputTypeError: A limit is no number.
        InputValueError: A limit is negative or NaN, or none is given.
    """

    def __init__(
        self,
        usd: float | Decimal | None = None,
        tokens: int | None = None,
        calls: int | None = None,
        seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = {"usd": usd, "tokens": tokens, "calls": calls, "seconds": seconds}
        if all(limit is None for limit in limits.values()):
            raise InputValueError(
                "a Budget needs a limit: usd, tokens, calls or seconds."
            )
        for name, limit in limits.items():
            if limit is not None:
                check_number(name, limit)
        self.usd = None if usd is None else Decimal(str(usd))
        self.tokens = tokens
        self.calls = calls
        self.seconds = seconds
        self._clock = clock
        self._serial = next(_serial)
        self._lock = threading.Lock()
        self._by_role: dict[str, Amount] = {}
        self._reserved = NOTHING
        self._started: float | None = None
        self._elapsed_before = 0.0
        self._queue: LoopLocal[_Queue] = LoopLocal(_Queue)

    def __repr__(self) -> str:
        limits = {n: getattr(self, n) for n in ("usd", "tokens", "calls", "seconds")}
        given = ", ".join(f"{n}={v}" for n, v in limits.items() if v is not None)
        return f"Budget({given})"

    def __enter__(self) -> Self:
        self.start()
        _enclosing.set((*_enclosing.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack = list(_enclosing.get())
        stack.reverse()
        stack.remove(self)
        _enclosing.set(tuple(reversed(stack)))

    def start(self) -> None:
        """Start the clock, if it does not run yet."""
        if self._started is None:
            self._started = self._clock()

    @property
    def spent(self) -> dict[str, Any]:
        """What has been spent: ``usd``, ``tokens``, ``calls``, ``seconds``."""
        total = self._total()
        return {
            "usd": float(total.usd),
            "tokens": total.tokens,
            "calls": total.calls,
            "seconds": self._elapsed(),
        }

    @property
    def spent_by_role(self) -> dict[str, dict[str, Any]]:
        """What each role has spent: ``usd``, ``tokens``, ``calls``."""
        with self._lock:
            return {
                role: {"usd": float(a.usd), "tokens": a.tokens, "calls": a.calls}
                for role, a in self._by_role.items()
            }

    def is_exhausted(self) -> bool:
        """Whether nothing more can start, however small."""
        total = self._total()
        return (
            (self.usd is not None and total.usd >= self.usd)
            or (self.tokens is not None and total.tokens >= self.tokens)
            or (self.calls is not None and total.calls >= self.calls)
            or (self.seconds is not None and self._elapsed() >= self.seconds)
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what has been spent, as JSON data, for a checkpoint."""
        with self._lock:
            roles = {
                role: {"usd": str(a.usd), "tokens": a.tokens, "calls": a.calls}
                for role, a in self._by_role.items()
            }
        return {"roles": roles, "seconds": self._elapsed()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what a checkpoint says was spent."""
        with self._lock:
            self._by_role = {
                role: Amount(
                    usd=Decimal(spent["usd"]),
                    tokens=spent["tokens"],
                    calls=spent["calls"],
                )
                for role, spent in state["roles"].items()
            }
            self._elapsed_before = float(state["seconds"])
            self._started = None if self._started is None else self._clock()

    async def reserve(self, worst: Worst) -> None:
        """Set the worst case aside, waiting for calls in flight where that helps.

        Raises:
            BudgetError: It does not fit, whatever the calls in flight turn out to cost.
        """
        queue = self._queue.get()
        if not queue.length and self._try_reserve(worst):
            return
        queue.length += 1
        try:
            async with queue.turn:
                while not self._try_reserve(worst):
                    queue.settled.clear()
                    await queue.settled.wait()
        finally:
            queue.length -= 1

    def extend(self, amount: Amount) -> bool:
        """Set more aside for a call under way, if there is room."""
        with self._lock:
            if self._exceeded(self._sum() + self._reserved + amount):
                return False
            self._reserved += amount
            return True

    def settle(self, role: str, reserved: Amount, actual: Amount) -> None:
        """Replace what was set aside by what the call really cost."""
        with self._lock:
            self._reserved -= reserved
            if actual != NOTHING:
                spent = self._by_role.get(role, NOTHING)
                self._by_role[role] = spent + actual
        self._queue.get().settled.set()

    def _try_reserve(self, worst: Worst) -> bool:
        with self._lock:
            spent = self._sum()
            self._refuse_if_hopeless(spent, worst)
            if self._exceeded(spent + self._reserved + worst.amount):
                return False
            self._reserved += worst.amount
            return True

    def _refuse_if_hopeless(self, spent: Amount, worst: Worst) -> None:
        if self.usd is not None and not worst.is_priced:
            raise BudgetError(
                f"no price is known for model {worst.model!r}, so {self!r} cannot "
                f"hold; set one with client.set_price({worst.model!r}, input=…, "
                "output=…), in US dollars per million tokens (0 for a free model)."
            )
        if self.seconds is not None and self._elapsed() >= self.seconds:
            raise self._error("seconds", f"{self._elapsed():.1f} s have passed", worst)
        if name := self._exceeded(spent + worst.amount):
            needed = _show(name, getattr(worst.amount, name))
            detail = f"{_show(name, getattr(spent, name))} spent; this call may cost "
            raise self._error(name, f"{detail}{needed}", worst)

    def _exceeded(self, amount: Amount) -> str | None:
        """Name the first limit that ``amount`` exceeds."""
        for name in ("usd", "tokens", "calls"):
            limit = getattr(self, name)
            if limit is not None and getattr(amount, name) > limit:
                return name
        return None

    def _error(self, name: str, detail: str, worst: Worst) -> BudgetError:
        roles = ", ".join(
            f"{role} ${a.usd:.4f}, {a.tokens} tokens, {a.calls} calls"
            for role, a in sorted(self._by_role.items())
        )
        limit = _show(name, getattr(self, name))
        return BudgetError(
            f"the {worst.role} call of {worst.model!r} would exceed the budget "
            f"of {limit}: {detail}.\n"
            f"  spent: {roles or 'nothing'}\n"
            f"  fix:   raise Budget({name}=…), or lower max_tokens of the call."
        )

    def _sum(self) -> Amount:
        return sum(self._by_role.values(), NOTHING)

    def _total(self) -> Amount:
        with self._lock:
            return self._sum()

    def _elapsed(self) -> float:
        running = 0.0 if self._started is None else self._clock() - self._started
        return self._elapsed_before + running


def _show(name: str, value: Any) -> str:
    return f"${value:.4f}" if name == "usd" else f"{value} {name}"


_enclosing: Final[ContextVar[tuple[Budget, ...]]] = ContextVar(
    "afnio_budgets", default=()
)
_default: Final[Setting[Budget | None]] = Setting("budget", None)


def set_budget(budget: Budget | None) -> Applied[Budget | None]:
    """Charge every call of the process to ``budget``; None lifts that.

    Budgets of ``with`` blocks are charged besides. Used with ``with``, it holds inside
    the block only.

    Raises:
        InputTypeError: It is no `Budget`.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise InputTypeError(
            f"budget is {type(budget).__name__}; expected a Budget, such as "
            "Budget(usd=5), or None."
        )
    if budget is not None:
        budget.start()
    return _default.apply(budget)


def active_budgets() -> tuple[Budget, ...]:
    """Return the budgets to charge here, in the one order everybody reserves in."""
    stack, default = _enclosing.get(), _default.get()
    if default is None and len(stack) < 2:  # noqa: PLR2004 - nothing to put in order
        return stack
    every = {*stack} if default is None else {*stack, default}
    return tuple(sorted(every, key=lambda budget: budget._serial))


class Reservation:
    """The worst case of one call, set aside in several budgets at once."""

    def __init__(self, budgets: tuple[Budget, ...], worst: Worst) -> None:
        self._budgets = budgets
        self._worst = worst
        self._held: list[tuple[Budget, Amount]] = []
        self.actual = NOTHING

    async def __aenter__(self) -> Self:
        try:
            for budget in self._budgets:
                await budget.reserve(self._worst)
                self._held.append((budget, self._worst.amount))
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def extend(self, amount: Amount) -> bool:
        """Keep the worst case set aside besides ``amount``, which is spent already."""
        for index, (budget, held) in enumerate(self._held):
            if not budget.extend(amount):
                return False
            self._held[index] = (budget, held + amount)
        return True

    def _release(self) -> None:
        for budget, held in self._held:
            budget.settle(self._worst.role, held, self.actual)
        self._held = []
