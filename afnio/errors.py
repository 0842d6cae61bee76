"""Every error afnio raises on purpose.

Each class derives from `AfnioError` and from the closest built-in, so both
``except AfnioError`` and the idiomatic ``except ValueError`` work:

    AfnioError
    ├── InputTypeError        (TypeError)     wrong kind of argument
    ├── InputValueError       (ValueError)    right kind, impossible value
    │   ├── TemplateError                     placeholder missing, unused or malformed
    │   ├── GradientCountError                backward returned too few or too many
    │   └── UnknownModelError                 no such provider or model path
    ├── StateError            (RuntimeError)  called at the wrong time
    │   └── LoopError                         blocking call on afnio's own event loop
    ├── CancelledError        (RuntimeError)  in-flight work was cancelled
    ├── MissingExtraError     (ImportError)   optional dependency not installed
    ├── MissingFileError      (FileNotFoundError)  no such file
    ├── FileFormatError       (RuntimeError)  not a file of ours, or damaged
    ├── BudgetError           (RuntimeError)  a budget would be exceeded
    ├── ReplayMissError       (RuntimeError)  strict replay has no such recording
    ├── ReplyError            (RuntimeError)  a model replied, but not as asked
    │   └── RewriteRefused                    a rewrite was unsafe to accept
    └── ModelError            (RuntimeError)  a model call failed
        ├── AuthError                         missing or rejected credentials
        ├── BadRequestError                   the provider refused the request
        │   └── ContextLengthError            the prompt does not fit
        ├── RateLimitError                    too many requests
        ├── ModelTimeoutError                 no answer in time
        ├── ConnectionFailedError             the endpoint could not be reached
        └── ServerError                       the provider failed
"""

from __future__ import annotations


class AfnioError(Exception):
    """Base class of every error that afnio raises on purpose."""


class InputTypeError(AfnioError, TypeError):
    """An argument is of the wrong kind."""


class InputValueError(AfnioError, ValueError):
    """An argument is of the right kind but its value cannot be used."""


class TemplateError(InputValueError):
    """A placeholder is missing, unused or malformed."""


class GradientCountError(InputValueError):
    """A backward returned another number of gradients than it has inputs.

    Attributes:
        reply: The raw reply, where a model was to give them.
    """

    def __init__(self, message: str, *, reply: str | None = None) -> None:
        super().__init__(message)
        self.reply = reply


class UnknownModelError(InputValueError):
    """No provider or model goes by that name."""


class StateError(AfnioError, RuntimeError):
    """The call is valid, but not in the present state."""


class LoopError(StateError):
    """A blocking call was made on afnio's own event loop."""


class CancelledError(AfnioError, RuntimeError):
    """The work behind this value was cancelled."""


class MissingExtraError(AfnioError, ImportError):
    """An optional dependency is not installed; the message names the install line."""


class MissingFileError(AfnioError, FileNotFoundError):
    """There is no such file; the message says what was expected there."""


class FileFormatError(AfnioError, RuntimeError):
    """A file is not one of ours, is damaged, or comes from a newer version."""


class BudgetError(AfnioError, RuntimeError):
    """A budget would be exceeded; nothing was sent."""


class ReplayMissError(AfnioError, RuntimeError):
    """Strict replay has no recording of this call."""


class ReplyError(AfnioError, RuntimeError):
    """A model replied, but not in the form that was asked for.

    Attributes:
        reply: The raw reply.
    """

    def __init__(self, message: str, *, reply: str | None = None) -> None:
        super().__init__(message)
        self.reply = reply


class RewriteRefused(ReplyError):  # noqa: N818 - a refusal is an outcome, not a fault
    """A proposed text was unsafe to accept; the parameter stays as it was."""


class ModelError(AfnioError, RuntimeError):
    """A model call failed.

    Attributes:
        model: Which model was asked.
        status: HTTP status, if there was a response.
        retry_after_s: Seconds the provider asked to wait, if it said so.
        retryable: Whether the same call may succeed later.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.status = status
        self.retry_after_s = retry_after_s


class AuthError(ModelError):
    """Credentials are missing or were rejected."""


class BadRequestError(ModelError):
    """The provider refused the request as malformed or not allowed."""


class ContextLengthError(BadRequestError):
    """The prompt does not fit the model's context window."""


class RateLimitError(ModelError):
    """The provider asked to slow down."""

    retryable = True


class ModelTimeoutError(ModelError):
    """No answer arrived in time."""

    retryable = True


class ConnectionFailedError(ModelError):
    """The endpoint could not be reached or hung up."""

    retryable = True


class ServerError(ModelError):
    """The provider failed on its side (5xx, malformed body).

    Attributes:
        usage: What a reply that cannot be read says it has cost, as an
            `afnio.models.Usage`; None where no reply came.
    """

    retryable = True
    usage: object = None
