"""Deflated files as plain ones."""

from __future__ import annotations

import resource
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.source.encoding import encoding_of
from casgan_dicom.source.inflate import InflateError, inflated
from casgan_dicom.source.series import find_series
from tests.support.factories import moving_frames, write_xa

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
