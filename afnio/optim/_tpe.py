"""What to try next, by optuna's tree-structured Parzen estimator."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from afnio.errors import MissingExtraError

Choice = tuple[int, ...]
"""Which option of each parameter."""

_TRIES: Final = 20
"""Suggestions per wanted choice, until one is new."""


def load_optuna() -> Any:
    """Import optuna.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("optuna")
    except ImportError as error:
        raise MissingExtraError(
            "MIPRO searches with optuna: pip install 'afnio[optuna]'."
        ) from error


def suggested(
    sizes: Sequence[int],
    told: Sequence[tuple[Choice, float]],
    done: frozenset[Choice],
    count: int,
    setup: tuple[int, int],
) -> list[Choice]:
    """Return up to ``count`` different choices.

    The same arguments give the same choices, so there is no state to keep.

    Args:
        sizes: How many options each parameter has.
        told: What was tried, and its mean score, oldest first.
        done: What need not be tried again.
        count: How many are wanted.
        setup: The seed, and how many choices are random at first.
    """
    optuna = load_optuna()
    seed, startup = setup
    space = {
        f"p{number}": optuna.distributions.CategoricalDistribution(range(size))
        for number, size in enumerate(sizes)
    }
    with _quiet():
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for choice, score in told:
            params = {f"p{number}": option for number, option in enumerate(choice)}
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=space, value=score
                )
            )
        return _new(study, space, done, count)


def _new(study: Any, space: Any, done: frozenset[Choice], count: int) -> list[Choice]:
    found: dict[Choice, None] = {}
    for _ in range(count * _TRIES):
        params = study.ask(space).params
        choice = tuple(int(params[name]) for name in space)
        if choice not in done:
            found[choice] = None
        if len(found) == count:
            break
    return list(found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep optuna from announcing each study on the terminal."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
