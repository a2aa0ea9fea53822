"""Deflated files as plain ones."""

from __future__ import annotations

import resource
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from casgan_dicom.conversion.output_folder import same_object
from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.layout import layout_notes
from casgan_dicom.source.encoding import encoding_of
from casgan_dicom.source.header import SkippedFile, read_head
from casgan_dicom.source.inflate import HeaderBudget, InflateError, inflated
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.verify import verify_file
from tests.support.factories import moving_frames, uid, write_xa

RUN = moving_frames(12, 128, 128)


def deflated(path: Path) -> Path:
    return write_xa(path, RUN, syntax=DeflatedExplicitVRLittleEndian)


def split(path: Path) -> tuple[bytes, bytes]:
    """What comes before the deflated data set, and the inflated data set."""
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")  # File Meta Information Group Length (0002,0000)
    return content[:start], zlib.decompress(content[start:], -zlib.MAX_WBITS)


def test_a_deflated_file_is_the_same_object_in_a_plain_one(tmp_path: Path) -> None:
    path = deflated(tmp_path / "run")

    with path.open("rb") as file, inflated(file, 2**30, whole=True) as plain:
        ds = dcmread(plain)

    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds == dcmread(path)
    np.testing.assert_array_equal(ds.pixel_array, RUN)


def test_what_is_wrong_about_the_file_meta_information_is_quoted_by_no_warning(tmp_path: Path) -> None:
    path = deflated(tmp_path / "run")
    content, wrong = path.read_bytes(), b"Doe^John" + b"9" * 30
    own = uid("instance").encode()
    path.write_bytes(content[:144] + content[144:].replace(own, wrong.ljust(len(own), b"9"), 1))
    (cine,) = find_series([path]).cines

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layout_notes(cine)

    assert caught == []


def test_only_deflated_files_are_taken_for_such(tmp_path: Path) -> None:
    with deflated(tmp_path / "deflated").open("rb") as file:
        assert encoding_of(file).found == DeflatedExplicitVRLittleEndian
        assert file.tell() == 0
    name = DeflatedExplicitVRLittleEndian  # in the header, but not as the transfer syntax
    with write_xa(tmp_path / "rle", RUN, syntax=RLELossless, FrameOfReferenceUID=name).open("rb") as file:
        assert encoding_of(file).found == RLELossless


@pytest.mark.parametrize("whole", [True, False])
def test_no_more_is_inflated_than_may_be(tmp_path: Path, whole: bool) -> None:
    path = deflated(tmp_path / "run")
    _, data = split(path)

    with path.open("rb") as file:
        if whole:
            with pytest.raises(InflateError, match="more than 5000 bytes"), inflated(file, 5000, whole=True):
                pass
        else:
            with inflated(file, 5000, whole=False) as plain:
                assert plain.read().endswith(data[:5000])


def test_a_stream_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = deflated(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:-20])

    with (
        path.open("rb") as file,
        pytest.raises(InflateError, match="cut short"),
        inflated(file, 2**30, whole=True),
    ):
        pass


def test_a_bomb_is_refused_at_the_size_that_its_header_lets_expect(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte: neither the disk nor the memory is filled with it."""
    path = deflated(tmp_path / "run")
    before, data = split(path)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data)
    packed += b"".join(packer.compress(bytes(2**24)) for _ in range(64)) + packer.flush()
    path.write_bytes(before + packed)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    (cine,) = find_series([path]).cines
    with pytest.raises(PixelError, match="inflates to more than"):
        list(iter_frames(cine))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100_000  # KiB


def bomb(path: Path, megabytes: int, **overrides: object) -> Path:
    """A small file whose header holds so many megabytes of zeros in a private element."""
    whole = write_xa(path, RUN, syntax=DeflatedExplicitVRLittleEndian, **overrides)
    before, data = split(whole)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    at = data.index(b"\x20\x00\x0d\x00UI")
    head = b"\x19\x00\x10\x00LO\x04\x00MINE" + b"\x19\x00\x01\x10OB\x00\x00"
    packed = packer.compress(data[:at] + head + struct.pack("<I", megabytes * 2**20))
    packed += b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes))
    packed += packer.compress(data[at:]) + packer.flush()
    whole.write_bytes(before + packed)
    return whole


def test_a_header_of_any_size_that_real_ones_have_is_read(tmp_path: Path) -> None:
    (cine,) = find_series([bomb(tmp_path / "run", 12)]).cines

    np.testing.assert_array_equal(np.stack(list(iter_frames(cine))), RUN)


@pytest.mark.parametrize("megabytes", [17, 500])
def test_a_header_that_inflates_to_more_than_one_may_be_is_refused(tmp_path: Path, megabytes: int) -> None:
    path = bomb(tmp_path / "run", megabytes)
    assert path.stat().st_size < 10**6
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    found = read_head(path)

    assert isinstance(found, SkippedFile)
    assert found.damaged
    assert found.reason.endswith("its header inflates to more than 16777216 bytes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100_000  # KiB


def test_many_headers_share_one_budget(tmp_path: Path) -> None:
    """Sixteen such files would else take a quarter of a gigabyte, and a thousand all there is."""
    paths = [bomb(tmp_path / f"run{k}", 3, SOPInstanceUID=uid(f"one {k}")) for k in range(4)]
    budget = HeaderBudget(10 * 2**20)

    heads = [read_head(path, budget) for path in paths]

    assert [isinstance(head, SkippedFile) for head in heads] == [False, False, False, True]
    (refused,) = (head for head in heads if isinstance(head, SkippedFile))
    assert "more than may be kept in memory" in refused.reason


def test_neither_verify_nor_the_output_folder_inflates_anything(tmp_path: Path) -> None:
    """What is written here is never deflated, and pydicom would inflate all of it in memory."""
    path = bomb(tmp_path / "a.dcm", 500)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    (finding,) = verify_file(path)

    assert finding.rule == "readable"
    assert "deflated" in finding.message
    assert not same_object(path, path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100_000  # KiB
