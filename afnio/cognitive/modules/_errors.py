"""Errors of modules that must also be the built-in that PyTorch raises."""

from __future__ import annotations

from afnio.errors import AfnioError, InputValueError, StateError


class SlotNameError(InputValueError, KeyError):
    """A name cannot be registered: empty, dotted, or taken."""

    __str__ = Exception.__str__  # KeyError would print the message in quotes


class ModuleAttributeError(StateError, AttributeError):
    """A module lacks something: ``__init__`` has not run, or a Trainer has not."""


class StateDictError(AfnioError, RuntimeError):
    """A state dict does not fit the module; nothing has changed.

    Attributes:
        missing_keys: Keys the module expects and the state lacks.
        unexpected_keys: Keys of the state that the module does not know.
        problems: Everything else, one sentence each, by key.
    """

    def __init__(
        self,
        message: str,
        *,
        missing_keys: list[str],
        unexpected_keys: list[str],
        problems: list[str],
    ) -> None:
        super().__init__(message)
        self.missing_keys = missing_keys
        self.unexpected_keys = unexpected_keys
        self.problems = problems
