"""Which bytes of Pixel Data (7FE0,0010) are which frame: told by the data, where an index contradicts it.

Where uncompressed frames lie, native_layout.py tells. Encapsulated ones are one or several fragments each.
Every stream says itself where it begins, so a wrong offset table does no harm. What was read otherwise than
the header says is said.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.native_layout import native_file, native_layout
from casgan_dicom.pixels.pixel_data import (
    UNDEFINED_LENGTH,
    Encapsulated,
    Fragment,
    content_of,
    encapsulated,
    fragment_at,
    instance_error,
    pixel_element,
    wrong_syntax,
)
from casgan_dicom.pixels.plain_streams import last_parts
from casgan_dicom.pixels.stream_faults import check_streams
from casgan_dicom.pixels.syntaxes import decoder_name, decoder_of, decoding, loss_of
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.transfer_syntaxes import DEFLATED_FRAMES, UNCOMPRESSED_FRAMES
from casgan_dicom.uids import shown_uid, uid_name

Frames = tuple[tuple[Fragment, ...], ...]

_END_OF_IMAGE = b"\xff\xd9"
_NEXT_STREAM = re.compile(rb"\xff\xd9\x00{0,16}(?=\xff\xd8\xff|\xff\x4f\xff\x51)")
"""The end of a stream, where another begins behind it."""
_TAIL = 64
"""Bytes of the last fragment in which its stream has to end."""


@dataclass(frozen=True)
class StreamLayout:
    """Encapsulated frames."""

    frames: Frames
    """The fragments of each."""
    notes: tuple[str, ...]
    """What was read otherwise than the header and the offset tables say."""


def holds_fragments(instance: Instance) -> bool:
    """Whether frames lie in fragments: by the transfer syntax, else by the undefined length of Pixel Data."""
    if _names_fragments(instance):
        return True
    if not instance.has_pixels or decoder_of(instance.transfer_syntax).way == "inflated":
        return False
    with instance.path.open("rb") as file:
        return pixel_element(file, instance).length == UNDEFINED_LENGTH


def _names_fragments(instance: Instance) -> bool:
    uid = UID(instance.transfer_syntax, IGNORE)
    return uid.is_transfer_syntax and uid.is_encapsulated


def layout_notes(cine: Cine) -> tuple[str, ...]:
    """Say what the data of a cine hold otherwise than its headers, without decoding a frame.

    Raises
    ------
    PixelError
        Pixel Data are cut short, or do not hold the frames that are promised.
    """
    counts: Counter[str] = Counter()
    for instance, ds in zip(cine.instances, cine.headers, strict=True):
        try:
            counts.update(_notes(instance, ds, cine))
        except PixelError:
            raise
        except Exception as error:  # parsers fed with garbage raise anything
            raise instance_error(instance, f"cannot be read ({type(error).__name__})") from error
    files = len(cine.instances)
    return tuple(note + (f" (in {n} of {files} files)" if files > 1 else "") for note, n in counts.items())


def _notes(instance: Instance, ds: Dataset, cine: Cine) -> tuple[str, ...]:
    if holds_fragments(instance):
        layout = stream_layout(instance, ds)
        check_streams(instance, cine, layout.frames)
        return layout.notes
    with native_file(instance, cine) as file:
        return native_layout(file, instance, cine).notes


def stream_layout(instance: Instance, ds: Dataset) -> StreamLayout:
    """Say which fragments of a file are which frame.

    Parameters
    ----------
    instance
        The file.
    ds
        Its header, for the Extended Offset Table (7FE0,0001).

    Raises
    ------
    PixelError
        The stream is cut short or damaged, or its fragments are not the frames promised.
    """
    _refuse_undecodable(instance)
    with instance.path.open("rb") as file:
        if pixel_element(file, instance).length != UNDEFINED_LENGTH and file.read(3) != b"\xfe\xff\x00":
            raise wrong_syntax(instance, "uncompressed frames", "encapsulated ones")
    found = encapsulated(instance)
    tables = _offset_tables(found, ds)
    frames = (
        _ending_by_themselves(found, instance, ds)
        or _frames(found, instance.frames, list(tables.values()))
        or _listed(found, instance.frames, ds)
        or _behind_each_other(found, instance, ds)
    )
    if not frames:
        raise _other_number(found, instance)
    if not (_names_fragments(instance) or all(frame[0].header for frame in frames)):
        raise wrong_syntax(instance, "encapsulated frames of an unknown kind", "uncompressed ones")
    notes = [f"{name} {fault}: frames were found by their streams" for name, fault in _faults(tables, frames)]
    notes += _wrong_lengths(ds, frames)
    if (spare := len(found.fragments) - sum(map(len, frames))) > 0:
        notes.append(f"PixelData (7FE0,0010) holds {spare} fragments that ExtendedOffsetTable leaves out")
    if spare < 0:
        holds = f"PixelData (7FE0,0010) holds {len(found.fragments)} fragments for {len(frames)} frames"
        notes.append(f"{holds}: their streams stand behind each other in them")
    notes += _misnamed(frames, instance.transfer_syntax)
    if not found.delimited:
        _check_end(instance, found)
        notes.append(
            f"PixelData (7FE0,0010) ends without its sequence delimiter: all {len(frames)} frames are whole"
        )
    return StreamLayout(frames, tuple(notes))


def _refuse_undecodable(instance: Instance) -> None:
    """Raise PixelError where nothing decodes the transfer syntax of a file, or what does is not installed."""
    if not decoder_name(instance.transfer_syntax):
        why, hint = "which nothing here decodes", "docs/input.md names the transfer syntaxes that are read"
    elif package := decoder_of(instance.transfer_syntax).missing:
        why, hint = (
            f"which {package} decodes, and that is not installed",
            "pip install 'casgan-dicom[codecs]'",
        )
    else:
        return
    found = f"TransferSyntaxUID (0002,0010) is {uid_name(instance.transfer_syntax)}"
    raise PixelError(f"instance {shown_uid(instance.sop_instance_uid)}: {found}, {why}", hint=hint)


def _offset_tables(found: Encapsulated, ds: Dataset) -> dict[str, tuple[int, ...]]:
    """Offset tables that are not empty, the extended one first; what it holds is bytes of eight each."""
    tables = {}
    if extended := _numbers(ds.get("ExtendedOffsetTable")):
        tables["ExtendedOffsetTable (7FE0,0001)"] = extended
    if found.table:
        tables["the Basic Offset Table of PixelData (7FE0,0010)"] = found.table
    return tables


def _numbers(value: object) -> tuple[int, ...]:
    """A value of Extended Offset Table (7FE0,0001) or its Lengths (7FE0,0002): numbers of eight bytes."""
    whole = value[: len(value) // 8 * 8] if isinstance(value, bytes) else b""
    return struct.unpack(f"<{len(whole) // 8}Q", whole)


def _frames(found: Encapsulated, wanted: int, tables: Sequence[tuple[int, ...]]) -> Frames:
    """The fragments of each frame: by the streams that begin in them, by their number, or by a table.

    Nothing where none of them leads to the frames promised.
    """
    fragments = found.fragments
    starts = [k for k, fragment in enumerate(fragments) if fragment.begins]
    if len(starts) == wanted and starts[0] == 0:
        return _cut(fragments, starts)
    if len(starts) <= wanted == len(fragments):
        return tuple((fragment,) for fragment in fragments)
    offsets = _offsets(fragments)
    for table in tables:
        places = [offsets[entry] for entry in table if entry in offsets]
        if len(starts) <= wanted == len(places) == len(table) and _rises_from_0(places):
            return _cut(fragments, places)
    return ()


def _listed(found: Encapsulated, wanted: int, ds: Dataset) -> Frames:
    """The frames that the Extended Offset Table lists with their lengths, where more is there; else nothing.

    Only what names first and last byte of each frame can say that a stream between them is none.
    """
    begins = _numbers(ds.get("ExtendedOffsetTable"))
    lengths = _numbers(ds.get("ExtendedOffsetTableLengths"))
    offsets = _offsets(found.fragments)
    places = [offsets[start] for start in begins if start in offsets]
    if not len(begins) == len(lengths) == len(places) == wanted or places != sorted(set(places)):
        return ()
    frames = tuple((found.fragments[place],) for place in places)
    return frames if all(f[0].length == n for f, n in zip(frames, lengths, strict=True)) else ()


def _behind_each_other(found: Encapsulated, instance: Instance, ds: Dataset) -> Frames:
    """Frames of which several stand in one fragment, each stream behind the end of another; else nothing.

    No data of JPEG, JPEG-LS or JPEG 2000 hold an end with a beginning behind it.
    """
    nbytes = int(ds.Rows) * int(ds.Columns) * int(ds.BitsAllocated) // 8
    whole = all(fragment.begins and fragment.header for fragment in found.fragments)
    length = sum(fragment.length for fragment in found.fragments)
    if not whole or not 0 < len(found.fragments) < instance.frames or length > 2 * instance.frames * nbytes:
        return ()
    frames = []
    with instance.path.open("rb") as file:
        for fragment in found.fragments:
            content = content_of(file, [fragment])
            places = [0, *(match.end() for match in _NEXT_STREAM.finditer(content)), len(content)]
            frames += [(fragment_at(file, fragment.start + a, b - a),) for a, b in pairwise(places)]
    return tuple(frames) if len(frames) == instance.frames else ()


def _ending_by_themselves(found: Encapsulated, instance: Instance, ds: Dataset) -> Frames:
    """The fragments of frames whose contents tell where they end; nothing where these are not as promised."""
    without_header = instance.transfer_syntax in (UNCOMPRESSED_FRAMES, DEFLATED_FRAMES)
    if not without_header or len(found.fragments) == instance.frames:
        return ()
    nbytes = int(ds.Rows) * int(ds.Columns) * int(ds.BitsAllocated) // 8
    with instance.path.open("rb") as file:
        parts = (content_of(file, [fragment]) for fragment in found.fragments)
        try:
            ends = list(last_parts(instance.transfer_syntax, parts, nbytes))
        except zlib.error:
            return ()
    starts = [k for k in range(len(ends)) if k == 0 or ends[k - 1]]
    return _cut(found.fragments, starts) if len(starts) == instance.frames and ends[-1] else ()


def _other_number(found: Encapsulated, instance: Instance) -> PixelError:
    """The error of a file whose fragments are not the frames promised."""
    streams = sum(fragment.begins for fragment in found.fragments)
    holds = f"{len(found.fragments)} fragments" + (f", {streams} streams" if streams else "")
    wanted = f"NumberOfFrames (0028,0008) says {instance.frames}"
    return instance_error(instance, f"PixelData (7FE0,0010) holds {holds}, {wanted}")


def _offsets(fragments: Sequence[Fragment]) -> dict[int, int]:
    """Which fragment begins at an offset, counted from the first item behind the Basic Offset Table."""
    return {fragment.start - fragments[0].start: k for k, fragment in enumerate(fragments)}


def _rises_from_0(places: Sequence[int]) -> bool:
    return places[0] == 0 and all(a < b for a, b in pairwise(places))


def _cut(fragments: Sequence[Fragment], starts: Sequence[int]) -> Frames:
    """Frames that begin at these fragments."""
    ends = [*starts[1:], len(fragments)]
    return tuple(tuple(fragments[a:b]) for a, b in zip(starts, ends, strict=True))


def _faults(tables: dict[str, tuple[int, ...]], frames: Frames) -> Iterator[tuple[str, str]]:
    """Tables that contradict the frames, and how."""
    first = frames[0][0].start
    wanted = [frame[0].start - first for frame in frames]
    for name, table in tables.items():
        if len(table) != len(frames):
            yield name, f"has {len(table)} entries for {len(frames)} frames"
        elif wrong := sum(a != b % 2**32 and a != b for a, b in zip(table, wanted, strict=True)):
            yield name, f"points elsewhere than where {wrong} of {len(frames)} frames begin"


def _wrong_lengths(ds: Dataset, frames: Frames) -> list[str]:
    """A note where Extended Offset Table Lengths contradict the frames, a byte of padding counted or not."""
    lengths = _numbers(ds.get("ExtendedOffsetTableLengths"))
    there = [sum(fragment.length for fragment in frame) for frame in frames]
    wrong = sum(n not in (m, m - 1) for n, m in zip(lengths, there, strict=False))
    if not lengths or (len(lengths) == len(there) and not wrong):
        return []
    found = (
        f"has {len(lengths)} entries for {len(there)} frames"
        if len(lengths) != len(there)
        else (f"is wrong about {wrong} of {len(there)} frames")
    )
    return [f"ExtendedOffsetTableLengths (7FE0,0002) {found}: their fragments were counted"]


def _misnamed(frames: Frames, syntax: str) -> list[str]:
    """A note where streams are not what the transfer syntax names, or lose where it loses nothing."""
    headers = [frame[0].header for frame in frames]
    lossless = loss_of(syntax) == "never"
    wrong = [h for h in headers if h and (decoding(syntax, h)[1] != syntax or (h.loses and lossless))]
    if not wrong:
        return []
    lost = {True: ", which has lost information", False: ", which loses nothing", None: ""}[wrong[0].loses]
    named, found = uid_name(syntax), f"{len(wrong)} of {len(frames)} frames are {wrong[0].kind}{lost}"
    return [f"TransferSyntaxUID (0002,0010) is {named}, but {found}: read as what they are"]


def _check_end(instance: Instance, found: Encapsulated) -> None:
    """Raise PixelError unless the last stream of an unfinished sequence ends, where its kind has an end."""
    if not any(fragment.begins for fragment in found.fragments):
        return
    if found.fragments[-1].header is not None and found.fragments[-1].header.kind == "RLE":
        return
    last = found.fragments[-1]
    with instance.path.open("rb") as file:
        file.seek(last.start + max(0, last.length - _TAIL))
        tail = file.read(min(last.length, _TAIL))
    if not tail.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise instance_error(instance, "PixelData (7FE0,0010) is cut short: its last frame has no end")
