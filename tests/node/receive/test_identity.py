"""Reading whose child an instance is, from good and from hostile data sets."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from casgan_dicom.node.receive.identity import WINDOW_BYTES, Identity, UnreadableError, read_identity
from tests.node.listening import data_set_of
from tests.support.factories import uid, write_xa

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
DEFLATED = str(DeflatedExplicitVRLittleEndian)


def identity_of(folder: Path, content: bytes, syntax: str = EXPLICIT, *, before: int = 7) -> Identity:
    """Read the identity of an encoded data set that stands behind `before` other bytes."""
    path = folder / "instance"
    path.write_bytes(bytes(before) + content)
    return read_identity(path, before, syntax)


def made(folder: Path, **header: object) -> bytes:
    """An encoded data set."""
    return data_set_of(write_xa(folder / "made", **cast(dict[str, Any], header)))


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element, Explicit VR Little Endian, short form."""
    return struct.pack("<HH2sH", group, number, vr, len(value) if length is None else length) + value


def with_series(content: bytes, value: bytes) -> bytes:
    """Another value in place of the Series Instance UID of `made`."""
    text = uid("series").encode()
    good = element(0x0020, 0x000E, b"UI", text + b"\0" * (len(text) % 2))
    assert content.count(good) == 1
    return content.replace(good, element(0x0020, 0x000E, b"UI", value))


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGBaseline8Bit,
    ],
)
def test_identity_is_read_in_every_encoding(tmp_path: Path, syntax: str) -> None:
    path = write_xa(tmp_path / "made", syntax=syntax)
    ds = dcmread(path)

    identity = identity_of(tmp_path, data_set_of(path), str(syntax))

    assert identity == Identity(
        ds.SOPClassUID,
        ds.SOPInstanceUID,
        ds.SeriesInstanceUID,
        4,
        None,
        ds.StudyInstanceUID,
        identity.subject,
    )
    assert len(identity.subject) == 64


@pytest.mark.parametrize("pad", [b"\0\0", b"  ", b" \0"])
def test_padding_of_a_uid_does_not_belong_to_it(tmp_path: Path, pad: bytes) -> None:
    content = with_series(made(tmp_path), b"1.2.34" + pad)

    assert identity_of(tmp_path, content).series_uid == "1.2.34"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, None),
        ({"ImagesInAcquisition": "12"}, 12),
        ({"NumberOfSeriesRelatedInstances": "7"}, 7),
        ({"ImagesInAcquisition": "12", "NumberOfSeriesRelatedInstances": "7"}, 7),
        ({"ImagesInAcquisition": "0"}, None),
        ({"ImagesInAcquisition": ""}, None),
        ({"ImagesInAcquisition": "-3"}, None),
        ({"ImagesInAcquisition": [4, 5]}, None),
    ],
)
def test_expected_number_is_a_positive_integer_or_none(
    tmp_path: Path, header: dict[str, Any], expected: int | None
) -> None:
    assert identity_of(tmp_path, made(tmp_path, **header)).expected == expected


@pytest.mark.parametrize(("said", "frames"), [(None, 1), ("", 1), (17, 17), (0, 0), (-1, 0)])
def test_frames_are_counted_as_the_pipeline_counts_them(tmp_path: Path, said: object, frames: int) -> None:
    assert identity_of(tmp_path, made(tmp_path, NumberOfFrames=said)).frames == frames


@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("SOPInstanceUID", "0008,0018"),
        ("SOPClassUID", "0008,0016"),
        ("StudyInstanceUID", "0020,000D"),
        ("SeriesInstanceUID", "0020,000E"),
    ],
)
def test_absent_uid_is_named(tmp_path: Path, keyword: str, tag: str) -> None:
    with pytest.raises(UnreadableError, match=rf"{keyword} \({tag}\) is absent"):
        identity_of(tmp_path, made(tmp_path, **{keyword: None}))


@pytest.mark.parametrize(
    "value", [b"../../../etc/passwd", b"..", b"1..2", b".1", b"1.2.", b"1.2\\1.3", b"Doe^John"]
)
def test_text_that_is_no_uid_is_refused_and_not_quoted(tmp_path: Path, value: bytes) -> None:
    content = with_series(made(tmp_path), value + b"\0" * (len(value) % 2))

    with pytest.raises(UnreadableError) as caught:
        identity_of(tmp_path, content)

    assert str(caught.value) == "SeriesInstanceUID (0020,000E) is no UID"


def test_uid_of_65_characters_is_none(tmp_path: Path) -> None:
    content = with_series(made(tmp_path), b"1." + b"2" * 63 + b"\0")

    with pytest.raises(UnreadableError, match="is no UID"):
        identity_of(tmp_path, content)


def test_value_that_is_cut_short_is_no_shorter_value(tmp_path: Path) -> None:
    content = made(tmp_path)
    end = content.index(uid("series").encode()) + 12  # a legal UID, but not the one that was meant

    with pytest.raises(UnreadableError, match="cut short"):
        identity_of(tmp_path, content[:end])


def test_header_that_ends_early_is_not_completed_by_chance(tmp_path: Path) -> None:
    content = made(tmp_path)

    with pytest.raises(UnreadableError):
        identity_of(tmp_path, content[: content.index(uid("series").encode()) - 8])


def test_nothing_behind_the_number_of_frames_is_looked_at(tmp_path: Path) -> None:
    content = made(tmp_path)
    end = content.index(element(0x0028, 0x0010, b"US", b"\x40\0"))  # Rows

    assert identity_of(tmp_path, content[:end] + b"\xff" * 1000).frames == 4


@pytest.mark.filterwarnings("ignore")  # the listener ignores what pydicom says of garbage
@given(content=st.binary(max_size=400))
def test_garbage_is_unreadable_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    for syntax in (EXPLICIT, str(ImplicitVRLittleEndian), str(ExplicitVRBigEndian), DEFLATED):
        with pytest.raises(UnreadableError):
            identity_of(folder, content, syntax)


@pytest.mark.filterwarnings("ignore")
@given(at=st.integers(0, 700), value=st.binary(min_size=1, max_size=4))
def test_changed_bytes_give_an_identity_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: bytes
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    content = made(folder)
    changed = content[:at] + value + content[at + len(value) :]

    said = ""
    try:
        assert identity_of(folder, changed).frames >= 0
    except UnreadableError as error:
        said = str(error)

    assert "Test^Run" not in said


@pytest.mark.filterwarnings("ignore")
def test_nested_sequences_without_end_are_refused(tmp_path: Path) -> None:
    nest = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )

    with pytest.raises(UnreadableError):
        identity_of(tmp_path, nest * 20_000)


def test_header_is_not_followed_without_end(tmp_path: Path) -> None:
    filler = element(0x0009, 0x1001, b"LO", b"x" * 65000) * (WINDOW_BYTES // 65000 + 2)

    with pytest.raises(UnreadableError, match="more than"):
        identity_of(tmp_path, filler + made(tmp_path))


def test_value_of_undefined_length_takes_no_more_than_the_window(tmp_path: Path) -> None:
    content = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 0xFFFFFFFF) + bytes(10 * WINDOW_BYTES)

    with pytest.raises(UnreadableError):
        identity_of(tmp_path, content)


def test_deflate_bomb_takes_no_more_memory_than_the_window(tmp_path: Path) -> None:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeezer.compress(element(0x0009, 0x1001, b"LO", b"x" * 65000) * 4000) + squeezer.flush()
    assert len(bomb) < 2_000_000
    tracemalloc.start()

    with pytest.raises(UnreadableError, match="more than"):
        identity_of(tmp_path, bomb, DEFLATED)

    assert tracemalloc.get_traced_memory()[1] < 8 * WINDOW_BYTES
    tracemalloc.stop()
