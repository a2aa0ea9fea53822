"""Whose child an instance is, from the first elements of its data set.

Only the elements up to Number of Frames (0028,0008) are read, and of these only UIDs and three numbers: as
bytes, because a library that converts values complains about wrong ones and quotes them. Pixels are never
decoded, and memory is bounded whatever the peer sent: a header ends within `WINDOW_BYTES`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.charset import decode_bytes, python_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from casgan_dicom.node.receive.plain_header import GLANCE_BYTES, PlainHeader
from casgan_dicom.source.plain_elements import scan
from casgan_dicom.uids import is_uid

WINDOW_BYTES = 4 * 1024 * 1024
"""How far into a data set the elements are looked for."""

_CHARACTER_SET = 0x00080005
_SOP_CLASS_UID, _SOP_UID, _STUDY_UID, _SERIES_UID = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_IMAGES_IN_ACQUISITION, _SERIES_INSTANCES, _FRAMES = 0x00201002, 0x00201209, 0x00280008
_PATIENT = (0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040)
"""Name, ID, its issuer, birth date and sex."""
WANTED = frozenset(
    {
        _CHARACTER_SET,
        _SOP_CLASS_UID,
        _SOP_UID,
        *_PATIENT,
        _STUDY_UID,
        _SERIES_UID,
        _IMAGES_IN_ACQUISITION,
        _SERIES_INSTANCES,
        _FRAMES,
    }
)
"""Tags of the elements that tell it."""
_LAST = max(WANTED)
_UIDS = {
    _SOP_CLASS_UID: "SOPClassUID (0008,0016)",
    _SOP_UID: "SOPInstanceUID (0008,0018)",
    _STUDY_UID: "StudyInstanceUID (0020,000D)",
    _SERIES_UID: "SeriesInstanceUID (0020,000E)",
}
_INTEGER = re.compile(rb" *\+?0*([0-9]{1,9}) *\0?")


class UnreadableError(Exception):
    """A data set of which nothing can be made; the message says why, without patient data."""


@dataclass(frozen=True)
class Identity:
    """Whose child an instance is."""

    sop_class_uid: str
    """SOP Class UID (0008,0016)."""
    sop_uid: str
    """SOP Instance UID (0008,0018)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    frames: int
    """Number of Frames (0028,0008); 1 where absent, 0 where it is no number above 0."""
    expected: int | None
    """Instances of the series, where the header tells: Number of Series Related Instances (0020,1209), else
    Images in Acquisition (0020,1002)."""
    study_uid: str
    """Study Instance UID (0020,000D)."""
    subject: str
    """Hex digest of what tells patient and study apart: study, and name, ID, issuer, birth date and sex."""


def read_identity(
    path: Path, offset: int, transfer_syntax: str, header: PlainHeader | None = None
) -> Identity:
    """Read the identity of an instance.

    Parameters
    ----------
    path
        A file.
    offset
        Where the data set begins in it.
    transfer_syntax
        How the data set is encoded.
    header
        That of the same data set with the values of `WANTED`, if it is a plain one: then no file is read.

    Raises
    ------
    UnreadableError
        It is no data set, is cut short, or a UID is absent or none.
    OSError
        The file cannot be read.
    """
    values: Mapping[int, bytes]
    if header is not None:
        values = header.values
    else:
        with path.open("rb") as file:
            values = _values(file, offset, transfer_syntax)
    uids = {tag: _uid(values, tag) for tag in _UIDS}
    frames = _integer(values.get(_FRAMES)) if values.get(_FRAMES) else 1
    expected = _integer(values.get(_SERIES_INSTANCES)) or _integer(values.get(_IMAGES_IN_ACQUISITION))
    study = uids[_STUDY_UID]
    return Identity(
        uids[_SOP_CLASS_UID],
        uids[_SOP_UID],
        uids[_SERIES_UID],
        frames,
        expected or None,
        study,
        _subject(study, values),
    )


def _subject(study_uid: str, values: Mapping[int, bytes]) -> str:
    """Digest of patient and study, as they read.

    Padding, what a name may end in without a meaning, and the character set do not count: a router or an
    archive may write the same name in another one.
    """
    encodings = _encodings(values.get(_CHARACTER_SET, b""))
    patient = [_text(values.get(tag, b"").strip(b"\0 ^="), encodings) for tag in _PATIENT]
    return hashlib.sha256(json.dumps([study_uid, *patient]).encode()).hexdigest()


def _encodings(character_set: bytes) -> list[str]:
    """Python's names of the encodings of Specific Character Set (0008,0005); of an unknown one, none."""
    terms = [term.strip() for term in character_set.decode("latin-1").strip("\0 ").split("\\")]
    return [python_encoding[term] for term in terms if term in python_encoding]


def _text(value: bytes, encodings: list[str]) -> str:
    """A text as it reads; where its bytes are none in its character set, one that stands for them."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    try:
        if len(encodings) > 1:
            text = decode_bytes(value, encodings, {0x5C, 0x5E, 0x3D})
        else:  # what cannot be decoded is not replaced: other bytes are another name
            text = value.decode(*encodings or ["latin-1"])
    except (LookupError, UnicodeError):
        text = value.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def _values(file: BinaryIO, offset: int, transfer_syntax: str) -> Mapping[int, bytes]:
    """The wanted values as they stand, by tag. Raises UnreadableError."""
    for longest in (GLANCE_BYTES, WINDOW_BYTES):
        file.seek(offset)
        content, is_whole = _beginning(file, longest, transfer_syntax)
        try:
            values, reached_end = _parse(content, transfer_syntax)
        except UnreadableError:
            if is_whole or longest == WINDOW_BYTES:
                raise
        else:
            if is_whole or reached_end:
                return values
    raise UnreadableError(f"data set has a header of more than {WINDOW_BYTES} bytes")


def _beginning(file: BinaryIO, longest: int, transfer_syntax: str) -> tuple[bytes, bool]:
    """The first bytes of a data set, inflated (PS3.5 A.5), and whether that is all of it."""
    content = file.read(longest + 1)
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        return content[:longest], len(content) <= longest
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(content, longest), inflater.eof
    except zlib.error:
        raise UnreadableError("data set is not deflated") from None


def _parse(content: bytes, transfer_syntax: str) -> tuple[Mapping[int, bytes], bool]:
    """The wanted values, and whether the data set goes on behind them. Raises UnreadableError."""
    implicit, little = transfer_syntax == ImplicitVRLittleEndian, transfer_syntax != ExplicitVRBigEndian
    if little and (plain := scan(content, implicit, WANTED, _LAST)) is not None:
        return plain[0], True
    reached_end = False

    def is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal reached_end
        reached_end = int(tag) > _LAST
        return reached_end

    found = {}
    try:
        for element in data_element_generator(
            io.BytesIO(content), implicit, little, is_behind, specific_tags=list(WANTED)
        ):
            if isinstance(element, RawDataElement) and element.tag in WANTED:
                found[int(element.tag)] = element
    except Exception as error:  # a parser fed with garbage raises anything; its text may quote what it read
        raise UnreadableError(f"data set cannot be read ({type(error).__name__})") from None
    if any(len(element.value or b"") != element.length for element in found.values()):
        raise UnreadableError("data set is cut short")
    return {tag: element.value or b"" for tag, element in found.items()}, reached_end


def _uid(values: Mapping[int, bytes], tag: int) -> str:
    """The value of an element that has to be a UID. Raises UnreadableError."""
    text = values.get(tag, b"").decode("ascii", "replace").rstrip("\0 ")
    if not text:
        raise UnreadableError(f"{_UIDS[tag]} is absent or empty")
    if not is_uid(text):
        raise UnreadableError(f"{_UIDS[tag]} is no UID")
    return text


def _integer(value: bytes | None) -> int:
    """An integer string; 0 where it is absent, or no number above 0."""
    match = _INTEGER.fullmatch(value or b"")
    return int(match[1]) if match else 0
