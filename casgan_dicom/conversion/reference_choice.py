"""Which earlier run lends its vessels, where the caller wants the patient's own and no invented ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from casgan_dicom.errors import ConfigError

Refused = Literal["mark", "omit"]
"""What becomes of a frame over which nothing can be laid."""


@dataclass(frozen=True)
class ReferenceChoice:
    """Where the earlier run is, or where it is looked for.

    Raises ConfigError for parts of another kind.
    """

    run: tuple[Path, ...] = ()
    """Files or folders that hold the one run; empty: the nearest earlier one that fits is taken."""
    search: tuple[Path, ...] = ()
    """Folders in which that one is looked for, beside the input itself."""
    refused: Refused = "mark"
    """``mark``: such a frame stays the untouched input and says NO ROADMAP; ``omit``: it is left out."""

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {value!r}, want a tuple of Path"
            for name, value in (("run", self.run), ("search", self.search))
            if not isinstance(value, tuple) or not all(isinstance(path, Path) for path in value)
        ]
        if self.refused not in get_args(Refused):
            faults.append(f"refused is {self.refused!r}, want mark or omit")
        if self.run and self.search:
            faults.append("a run is named and folders to look for one are, want one of both")
        if faults:
            raise ConfigError("; ".join(faults))

    @property
    def automatic(self) -> bool:
        """Whether the run is looked for."""
        return not self.run
