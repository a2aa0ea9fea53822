"""File Meta Information is read as soon as it is there, and what is none is told without quoting it."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian, JPEGBaseline8Bit

from casgan_dicom.node.receive.file_meta import LONGEST_META, FileMeta, read_file_meta
from tests.support.factories import uid, write_xa


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEGBaseline8Bit])
def test_it_is_what_another_reader_finds(tmp_path: Path, syntax: str) -> None:
    path = write_xa(tmp_path / "a", syntax=syntax)
    content, theirs = path.read_bytes(), dcmread(path)
    file = io.BytesIO(content)
    found = read_file_meta(content)

    assert found is not None
    meta = theirs.file_meta
    assert (found.sop_class_uid, found.sop_uid, found.transfer_syntax) == (
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID,
    )  # fmt: skip
    file.seek(found.offset)
    assert file.read(2) == b"\x08\0"  # the first group of the data set


def test_with_too_few_bytes_more_are_awaited(tmp_path: Path) -> None:
    content = write_xa(tmp_path / "a").read_bytes()
    whole = read_file_meta(content)
    assert isinstance(whole, FileMeta)

    assert {read_file_meta(content[:length]) for length in range(whole.offset)} == {None}
    assert read_file_meta(content[: whole.offset]) == whole


def test_what_is_none_is_told_and_never_quoted(tmp_path: Path) -> None:
    content = write_xa(tmp_path / "a", SOPInstanceUID=uid("a")).read_bytes()
    length_at = 140
    changed = {
        "no DICM": content[:128] + b"NOPE" + content[132:],
        "length of its": content[:132] + content[144:],
        "more than": content[:length_at] + (LONGEST_META + 1).to_bytes(4, "little") + content[144:],
        "without its UIDs": content.replace(uid("a").encode(), b"Weissnicht".ljust(len(uid("a")), b"^")),
    }
    for said, bad in changed.items():
        with pytest.raises(ValueError, match=said) as raised:
            read_file_meta(bad)
        assert "Weissnicht" not in str(raised.value)


def test_changed_bytes_give_an_answer_or_a_reason(tmp_path: Path) -> None:
    content, chance = write_xa(tmp_path / "a").read_bytes()[:600], random.Random(5)
    for _ in range(3000):
        bad = bytearray(content)
        for _ in range(chance.randrange(1, 6)):
            bad[chance.randrange(128, 400)] = chance.randrange(256)
        with suppress(ValueError):
            found = read_file_meta(bytes(bad))
            assert found is None or found.offset <= LONGEST_META + 144
