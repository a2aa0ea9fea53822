"""What training never sees: series or patients kept for evaluation.

Each group is drawn by its name and the seed alone. So a patient found in two domains stands on one side in
both, and changes sides for no other that comes or goes: one that was trained on is never measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import Series
from casgan_dicom.model.settings import DataSettings


def is_held_out(group: str, share: float, seed: int) -> bool:
    """Draw one group: about the share `share` of all is held out."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def one_side(
    series: Iterable[Series], domain: str, data: DataSettings, *, evaluation: bool
) -> Iterator[Series]:
    """Give those series of a domain that training sees, or those that are kept from it.

    Where `data.held_out` is 0, both are all. Raises ConfigError at the end if either side is empty.
    """
    groups: dict[bool, set[str]] = {False: set(), True: set()}
    for one in series:
        group = one.key if data.split_by == "series" else one.patient
        held_out = is_held_out(group, data.held_out, data.split_seed)
        groups[held_out].add(group)
        if held_out is evaluation or data.held_out == 0:
            yield one
    found = sum(map(len, groups.values()))
    if data.held_out and found and not all(groups.values()):
        lacking = "be evaluated on" if groups[False] else "train on"
        raise ConfigError(
            f"data.held_out is {data.held_out:g}, but of {found} {_plural(data)} domain {domain} would have"
            f" nothing to {lacking}",
            hint="use more of them (for pictures, a sub-folder is a patient), or train with another"
            " data.split_seed",
        )


def _plural(data: DataSettings) -> str:
    return "series" if data.split_by == "series" else "patients"
