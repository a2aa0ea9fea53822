"""Files that are to be sent: what they are, and whether they can be, before any connection is made.

Only the file meta information and the first elements are read. The bytes go out as they lie there, in the
transfer syntax of the file, so nothing here ever decodes or changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from casgan_dicom.errors import SeriesError
from casgan_dicom.source.plain_elements import scan
from casgan_dicom.uids import is_like_uid

_SOP_CLASS_UID, _SOP_INSTANCE_UID, _TRANSFER_SYNTAX = 0x00080016, 0x00080018, 0x00020010
_OF_META, _OF_DATA = (0x00020002, 0x00020003, _TRANSFER_SYNTAX), (_SOP_CLASS_UID, _SOP_INSTANCE_UID)
"""UIDs of class, instance and transfer syntax in the file meta information, of class and instance behind."""
_FIRST_OF_META = b"\2\0\0\0UL\4\0"
"""File Meta Information Group Length (0002,0000): tag, VR and length."""
_PREFIX_BYTES, _HEAD_BYTES = 132, 4096


@dataclass(frozen=True)
class Outgoing:
    """One SOP instance in one file."""

    path: Path
    """The file."""
    sop_class_uid: UID
    """SOP Class UID (0008,0016)."""
    sop_instance_uid: UID
    """SOP Instance UID (0008,0018)."""
    transfer_syntax: UID
    """Transfer Syntax UID (0002,0010): it is sent in this one and no other."""


def read_outgoing(paths: Sequence[Path]) -> list[Outgoing]:
    """What each file holds, in the order of `paths`.

    Raises
    ------
    SeriesError
        Names every file that cannot be sent, each with the reason.
    """
    read = [(path, _examine(path)) for path in paths]
    wrong = [f"{path}: {found}" for path, found in read if isinstance(found, str)]
    if wrong:
        raise SeriesError("; ".join(wrong), hint="pass DICOM files (PS3.10) that can be read, and no others")
    return [found for _, found in read if isinstance(found, Outgoing)]


def is_instance(path: Path) -> bool:
    """Whether a file begins as a DICOM file and is no DICOMDIR; OSError where it cannot be read.

    A damaged file counts: it is for `read_outgoing` to name it.
    """
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return False
    return _examine(path) != _DIRECTORY


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong with reading a file that could be read before: SeriesError instead of OSError."""
    try:
        yield
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise SeriesError(f"{path}: cannot be read any more ({said})") from error


_DIRECTORY = "is a DICOMDIR"


def _examine(path: Path) -> Outgoing | str:
    """What the file holds, or why it cannot be sent, in words that hold no value of it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if head[128:_PREFIX_BYTES] != b"DICM":
                return "no DICOM file"
            if (plain := _plain(path, head[_PREFIX_BYTES:])) is not None:
                return plain
            file.seek(0)
            ds = read_partial(file, stop_when=_after_sop_instance_uid)
            return _outgoing(path, ds)
    except OSError as error:
        return f"cannot be read ({error.strerror or type(error).__name__})"
    except Exception as error:  # a parser fed with garbage raises anything; its text may hold patient data
        return f"damaged DICOM file ({type(error).__name__})"


def _plain(path: Path, head: bytes) -> Outgoing | None:
    """What an ordinary file holds, by its first bytes behind DICM; None if the parser has to be asked."""
    meta = scan(head, False, _OF_META, 0x0002FFFF) if head.startswith(_FIRST_OF_META) else None
    if meta is None:
        return None
    named, begin = meta
    syntax = _text(named.get(_TRANSFER_SYNTAX))
    if syntax in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        return None
    data = scan(head[begin:], syntax == ImplicitVRLittleEndian, _OF_DATA, _SOP_INSTANCE_UID)
    if data is None:
        return None
    uids = [_text(data[0].get(tag)) for tag in _OF_DATA]
    same = uids == [_text(named.get(tag)) for tag in _OF_META[:2]]
    if not (same and all(map(_legal, (syntax, *uids)))) or uids[0] == MediaStorageDirectoryStorage:
        return None
    return Outgoing(path, UID(uids[0]), UID(uids[1]), UID(syntax))


def _text(value: bytes | None) -> str:
    """A UID as it stands in an element; empty where there is none."""
    return (value or b"").decode("ascii", "replace").rstrip("\0")


def _after_sop_instance_uid(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _SOP_INSTANCE_UID


def _outgoing(path: Path, ds: Dataset) -> Outgoing | str:
    """The UIDs. The request names those of the meta; a peer files it under those of the data."""
    meta = ds.file_meta
    syntax = meta.get("TransferSyntaxUID")
    if not _legal(syntax):
        return "Transfer Syntax UID (0002,0010) is absent or no UID"
    if meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return _DIRECTORY
    pairs: tuple[tuple[str, str, str], ...] = (
        ("MediaStorageSOPClassUID", "SOPClassUID", "SOP Class UID (0008,0016)"),
        ("MediaStorageSOPInstanceUID", "SOPInstanceUID", "SOP Instance UID (0008,0018)"),
    )
    for of_meta, of_data, name in pairs:
        if not _legal(ds.get(of_data)):
            return f"{name} is absent or no UID"
        if meta.get(of_meta) != ds.get(of_data):
            return f"{name} is not that of the file meta information (0002,xxxx)"
    return Outgoing(path, UID(ds.SOPClassUID), UID(ds.SOPInstanceUID), UID(str(syntax)))


def _legal(value: object) -> bool:
    """Whether a value can be a UID: pynetdicom refuses longer ones, and nothing else belongs in a message."""
    return isinstance(value, str) and is_like_uid(value)
