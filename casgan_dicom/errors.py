"""The errors a user can meet, and the exit code each one means.

CasganError
├── ConfigError   5   a setting is missing, unknown or out of range
├── SeriesError   3   this series cannot be converted (and why)
│   ├── PixelError 3  its pixels cannot be decoded or scaled
│   └── ForeignError 4 its pictures are not of the kind that the bundle was trained on
├── WeightsError  5   a checkpoint or bundle is missing, damaged or of another kind
├── OutputError   3   the result cannot be written, or would overwrite something else
└── PeerError     6   the other DICOM node refused, aborted or stayed silent

A message says which object, which tag, what was found and what was wanted. The hint says what to do
next. Neither holds patient data: UIDs, counts and coded values only.
"""

from __future__ import annotations

from typing import ClassVar

from casgan_dicom.quoting import printable, printable_list


class CasganError(Exception):
    """The root of every error that this package raises on purpose.

    Parameters
    ----------
    message
        One sentence without a final stop: object, tag, found, wanted.
    hint
        What the user can do about it; empty when there is nothing sensible to say.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(printable_list(message))
        self.message = printable_list(message)
        self.hint = printable(hint)


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, cut short; empty where it says nothing."""
    return printable((str(error).splitlines() or [""])[0][:200])


class ConfigError(CasganError):
    """A setting is missing, unknown or out of range."""

    exit_code = 5


class SeriesError(CasganError):
    """A series cannot be converted."""

    exit_code = 3


class PixelError(SeriesError):
    """The pixels of a series cannot be decoded or scaled."""


class ForeignError(SeriesError):
    """The pictures of a series are not of the kind that the bundle was trained on."""

    exit_code = 4


class WeightsError(CasganError):
    """A checkpoint or bundle is missing, damaged or of another kind."""

    exit_code = 5


class OutputError(CasganError):
    """The result cannot be written, or would overwrite something else."""

    exit_code = 3


class PeerError(CasganError):
    """The other DICOM node refused, aborted or stayed silent.

    Parameters
    ----------
    message, hint
        As of every error.
    field
        What of the peer's description is wrong, as the settings of a node call it: ``host``, ``ae_title``;
        empty where nobody can tell.
    """

    exit_code = 6

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field
