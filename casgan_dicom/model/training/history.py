"""``metrics.csv`` of a run: one row every few steps, each the mean of its steps."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from casgan_dicom.disk import write_whole


class History:
    """Collects the figures of each step and writes their means as a row of a CSV file.

    What is collected but not yet written belongs to a checkpoint (`state`), so that the rows of a resumed
    run are those of the uninterrupted one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[str, float] = {}
        self._steps = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """Take in the figures of one step."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in figures.items()}
        self._steps += 1

    def write(self, step: int, lr_factor: float) -> dict[str, float]:
        """Write the means since the last row and return them; `step` counts the steps done."""
        means = {name: value / self._steps for name, value in self._sums.items()}
        figures = {"lr_factor": lr_factor, **means}
        row = {"step": str(step)} | {name: f"{value:.6g}" for name, value in figures.items()}
        new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        self._sums, self._steps = {}, 0
        return figures

    def state(self) -> dict[str, Any]:
        """Return the figures that no row holds yet."""
        return {"sums": dict(self._sums), "steps": self._steps}

    def restore(self, step: int, state: Mapping[str, Any]) -> None:
        """Continue after `step`: drop later rows, which a run wrote after its last checkpoint."""
        self._sums, self._steps = dict(state.get("sums", {})), int(state.get("steps", 0))
        if not self._path.is_file():
            return
        # A run that was killed while it wrote leaves a line without its end.
        lines = [line for line in self._path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        kept = [row for row in lines[1:] if int(row.split(b",", 1)[0]) <= step]
        if not kept:
            self._path.unlink()
            return
        write_whole(self._path, b"".join([lines[0], *kept]))
