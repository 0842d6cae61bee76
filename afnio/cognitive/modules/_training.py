"""What a Trainer calls on a module: steps to override, and hooks that do nothing."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NoReturn

from afnio.cognitive.modules._errors import ModuleAttributeError


class Trainable:
    """The training part of a `Module`; Lightning's names, and their meaning."""

    automatic_optimization: bool
    _optimizers: Any

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    # -- steps ----------------------------------------------------------------------

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Evaluate one training batch.

        Returns:
            ``(score, explanation)``, a dict whose key ``loss`` holds that pair and
            whose other keys are metrics, or None to skip the batch.
        """
        self._must_override("training_step", batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        """Evaluate one validation batch; returns as `training_step` does."""
        self._must_override("validation_step", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        """Evaluate one test batch; returns as `training_step` does."""
        self._must_override("test_step", batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """Return the predictions for one batch: by default, what calling it returns."""
        del batch_idx
        return self(batch)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, made with ``self.parameters()``, or a list of them."""
        self._must_override("configure_optimizers")

    def optimizers(self) -> Any:
        """Return the optimizer or optimizers that the Trainer has stored.

        Raises:
            ModuleAttributeError: No Trainer has.
        """
        if self._optimizers is None:
            raise ModuleAttributeError(
                f"{type(self).__name__} has no optimizers yet; a Trainer stores what "
                "configure_optimizers() returns when fit() starts."
            )
        return self._optimizers

    def _must_override(self, name: str, *args: Any) -> NoReturn:
        del args
        raise NotImplementedError(
            f"{type(self).__name__} defines no {name}(); the Trainer needs it here."
        )

    # -- fit ------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Run before fitting, when the optimizers are there."""

    def on_fit_end(self) -> None:
        """Run after fitting."""

    def on_train_start(self) -> None:
        """Run before the first epoch."""

    def on_train_end(self) -> None:
        """Run after the last epoch."""

    def on_train_epoch_start(self) -> None:
        """Run before an epoch."""

    def on_train_epoch_end(self) -> None:
        """Run after an epoch, its validation included."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        """Run before a batch; return -1 to skip the rest of the epoch."""

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Run after a batch, with what ``training_step`` returned."""

    def on_before_zero_grad(self, optimizer: Any) -> None:
        """Run before the Trainer clears gradients."""

    def on_before_backward(self, loss: Any) -> None:
        """Run before the Trainer calls backward on ``loss``."""

    def on_after_backward(self) -> None:
        """Run when gradients are there."""

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Run before the Trainer calls ``optimizer.step``."""

    # -- validate, test, predict ------------------------------------------------------

    def on_validation_start(self) -> None:
        """Run before validation."""

    def on_validation_end(self) -> None:
        """Run after validation."""

    def on_validation_epoch_start(self) -> None:
        """Run before the first validation batch."""

    def on_validation_epoch_end(self) -> None:
        """Run after the last validation batch."""

    def on_validation_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Run before a validation batch."""

    def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Run after a validation batch."""

    def on_test_start(self) -> None:
        """Run before testing."""

    def on_test_end(self) -> None:
        """Run after testing."""

    def on_test_epoch_start(self) -> None:
        """Run before the first test batch."""

    def on_test_epoch_end(self) -> None:
        """Run after the last test batch."""

    def on_test_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Run before a test batch."""

    def on_test_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Run after a test batch."""

    def on_predict_start(self) -> None:
        """Run before predicting."""

    def on_predict_end(self) -> None:
        """Run after predicting."""

    def on_predict_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Run before a batch of predictions."""

    def on_predict_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Run after a batch of predictions."""

    # -- state and failure -------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: MutableMapping[str, Any]) -> None:
        """Add JSON data of your own to a checkpoint."""

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Read back what `on_save_checkpoint` has added."""

    def on_exception(self, error: BaseException) -> None:
        """Run when the Trainer stops because of ``error``."""
