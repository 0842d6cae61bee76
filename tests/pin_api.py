"""Write api_names.json anew: ``python tests/pin_api.py``, after a decision."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from test_public_api import public_modules

names = {
    name: sorted(importlib.import_module(name).__all__)
    for name in public_modules()
    if hasattr(importlib.import_module(name), "__all__")
}
path = Path(__file__).parent / "api_names.json"
path.write_text(json.dumps(names, indent=1) + "\n", "utf-8")
