"""Where a fit comes from: digests of program and prompts, models, seeds, options."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afnio.errors import StateError
from afnio.models import get_backward_model_client
from afnio.tracking._manifest import digest, is_interactive
from afnio.trainer._checkpoint import clients_of
from afnio.trainer._summary import parameter_values

if TYPE_CHECKING:
    from afnio.trainer._loop import FitLoop


def origin(loop: FitLoop) -> dict[str, Any]:
    """Return what a run's manifest says about a fit, as JSON data without keys."""
    agent, kind = loop.agent, type(loop.agent)
    facts = {
        "program": f"{kind.__module__}.{kind.__qualname__}",
        "hashes": {
            "program": dict(_sources(kind)),
            "prompts": {
                name: digest(value) for name, value in parameter_values(agent).items()
            },
        },
        "models": [{"used_for": name, **_model(c)} for name, c in _clients(loop)],
        "seeds": {
            "trainer": loop.trainer.settings.seed,
            "train_loader": _seed(loop.loaders.train),
            "val_loader": _seed(loop.loaders.val),
        },
        "settings": {**asdict(loop.trainer.settings)},
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts, default=repr))
    return plain


def _sources(kind: type) -> Iterator[tuple[str, str]]:
    """Yield digests of the files that the program and its class are in."""
    files = []
    with suppress(TypeError, OSError):  # typed in, or built in
        files.append(inspect.getsourcefile(kind))
    if not is_interactive():
        files.append(sys.argv[0])
    for name in dict.fromkeys(files):
        if name and (path := Path(name)).is_file():
            with suppress(OSError):
                yield path.name, digest(path.read_bytes())


def _clients(loop: FitLoop) -> Iterator[tuple[str, Any]]:
    yield from loop.agent.named_models()
    for optimizer in loop.optimizers:
        for option, client in clients_of(optimizer).items():
            yield f"{type(optimizer).__name__}.{option}", client
    with suppress(StateError):
        yield "critic", get_backward_model_client()


def _model(client: Any) -> dict[str, Any]:
    bare = getattr(client, "client", client)
    config = getattr(bare, "get_config", dict)
    return {
        "class": type(bare).__name__,
        "provider": client.get_provider() if hasattr(client, "get_provider") else None,
        "model": getattr(client, "model", None),
        "config": config(),
    }


def _seed(loader: Any) -> Any:
    sampler = getattr(loader, "sampler", None)
    return getattr(loader, "seed", getattr(sampler, "seed", None))
