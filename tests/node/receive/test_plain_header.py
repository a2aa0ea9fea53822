"""The short cut through a plain header tells what the parser tells, or nothing."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import data_element_generator
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless

from casgan_dicom.node.receive import identity, wholeness
from casgan_dicom.node.receive.identity import Identity, UnreadableError, read_identity
from casgan_dicom.node.receive.plain_header import PlainHeader, plain_header
from casgan_dicom.node.receive.wholeness import check_whole
from casgan_dicom.source.plain_elements import scan
from tests.node.listening import data_set_of
from tests.node.wire import EXPLICIT, IMPLICIT
from tests.support.changed_bytes import change_bytes
from tests.support.factories import moving_frames, uid, write_xa

RLE = str(RLELossless)
WANTED = identity.WANTED | wholeness.WANTED


@functools.cache
def _content(folder: Path, syntax: str) -> bytes:
    frames = moving_frames(2, 16, 16)
    return data_set_of(write_xa(folder / f"made {syntax}", frames, syntax=syntax, ImagesInAcquisition="12"))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_short_cut_finds_what_the_parser_finds(
    tmp_path_factory: pytest.TempPathFactory, syntax: str, data: st.DataObject
) -> None:
    content = bytearray(_content(tmp_path_factory.getbasetemp(), syntax)[:1500])
    change_bytes(data, content, 0, len(content) - 1)

    found = scan(bytes(content), syntax == IMPLICIT, identity.WANTED, Tag("NumberOfFrames"))

    if found is not None:
        elements = data_element_generator(
            io.BytesIO(content),
            syntax == IMPLICIT,
            True,
            lambda tag, _vr, _length: tag > Tag("NumberOfFrames"),
        )
        parsed = {int(element.tag): element.value or b"" for element in elements if element.tag in found[0]}
        assert parsed == found[0]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, RLE])
def test_short_cut_is_taken_by_an_ordinary_header(tmp_path: Path, syntax: str) -> None:
    content = _content(tmp_path, syntax)

    found = plain_header(content, syntax, WANTED)

    assert found is not None
    assert content[found.pixels :][:4] == b"\xe0\x7f\x10\0"
    assert found.values[0x0020000E].rstrip(b"\0").decode() == uid("series")


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (EXPLICIT, IMPLICIT),
        (IMPLICIT, EXPLICIT),
        (IMPLICIT, RLE),
        (str(ExplicitVRBigEndian), str(ExplicitVRBigEndian)),
        (str(DeflatedExplicitVRLittleEndian), str(DeflatedExplicitVRLittleEndian)),
    ],
)
def test_short_cut_is_not_taken_in_another_syntax(tmp_path: Path, written: str, named: str) -> None:
    assert plain_header(_content(tmp_path, written), named, WANTED) is None


@pytest.mark.parametrize("length", [0, 7, 300, 0.5])
def test_short_cut_needs_all_of_the_header(tmp_path: Path, length: float) -> None:
    content = _content(tmp_path, EXPLICIT)
    pixels = content.index(b"\xe0\x7f\x10\0")

    assert plain_header(content[: int(length) if length != 0.5 else pixels + 8], EXPLICIT, WANTED) is None


def _judged(path: Path, syntax: str, header: PlainHeader | None) -> Identity | str:
    try:
        check_whole(path, 0, syntax, header)
        return read_identity(path, 0, syntax, header)
    except UnreadableError as error:
        return str(error)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, RLE])
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_instance_is_judged_the_same_with_the_short_cut_and_without(
    tmp_path_factory: pytest.TempPathFactory, syntax: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(_content(folder, syntax))
    change_bytes(data, content, 0, len(content) - 1)
    del content[data.draw(st.integers(0, len(content))) if data.draw(st.booleans()) else len(content) :]
    path = folder / "mutated"
    path.write_bytes(content)

    header = plain_header(bytes(content), syntax, WANTED)

    assert _judged(path, syntax, header) == _judged(path, syntax, None)
