"""How fast a training step is: its wall clock over its critical path.

Every call takes 100 ms, so the critical path of 32 answers, 32 critiques and one new
prompt is 300 ms whoever makes the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks._report import seconds
from benchmarks._world import LATENCY_S

SAMPLES: Final = 32
CRITICAL_PATH_S: Final = 3 * LATENCY_S
WARM_UPS: Final = 1


def steps(make: Callable[[], object], repeat: int) -> list[float]:
    """Return wall clock over critical path of each step after the first."""
    took = [seconds(make) / CRITICAL_PATH_S for _ in range(repeat + WARM_UPS)]
    return took[WARM_UPS:]
