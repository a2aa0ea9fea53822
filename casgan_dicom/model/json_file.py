"""JSON files that are complete or not there: whoever finds one can read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Write `table` to `path` under a temporary name, then rename it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(table, indent=2) + "\n")
    partial.replace(path)
