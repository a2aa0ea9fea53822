"""Why a file of another host cannot be had, and how long it is tried."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.errors import CasganError

TRY_SECONDS = 20.0
"""How long a file is tried to be had, from the last byte that came."""
FIRST_WAIT_SECONDS = 0.2
"""Between two attempts, doubling each time that nothing comes."""


class AwayError(CasganError):
    """The host that has a file cannot be reached now: it is worth waiting."""


class GoneError(CasganError):
    """The host that should have a file has none that is whole, or is none of ours any more."""


@dataclass(frozen=True)
class Patience:
    """How long to try, in seconds."""

    trying: float = TRY_SECONDS
    """From the last byte that came."""
    first_wait: float = FIRST_WAIT_SECONDS
    """After the first attempt that brought nothing."""
