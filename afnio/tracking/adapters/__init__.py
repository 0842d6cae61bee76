"""Loggers for experiment trackers; each needs its library, and says which.

| logger                | install              | records to                 |
| --------------------- | -------------------- | -------------------------- |
| `MLflowLogger`        | `afnio[mlflow]`      | a tracking server or store |
| `OpenTelemetryLogger` | `afnio[otel]`        | any OpenTelemetry exporter |
| `TensorBoardLogger`   | `afnio[tensorboard]` | event files                |
| `WandbLogger`         | `afnio[wandb]`       | Weights & Biases, or offline |

The libraries are imported when a logger is made, not before.
"""

from afnio.tracking.adapters.mlflow import MLflowLogger
from afnio.tracking.adapters.otel import OpenTelemetryLogger
from afnio.tracking.adapters.tensorboard import TensorBoardLogger
from afnio.tracking.adapters.wandb import WandbLogger

__all__ = [
    "MLflowLogger",
    "OpenTelemetryLogger",
    "TensorBoardLogger",
    "WandbLogger",
]
