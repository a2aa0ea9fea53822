"""What an object says about its pixels is held against the pixels themselves."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from casgan_dicom.pixels.banner import banner_for
from casgan_dicom.pixels.compress import Compression, CompressionName
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.pixel_rules import PIXEL_RULES
from casgan_dicom.verification.verify import verify_dataset, verify_file
from tests.support.derived import cine_of
from tests.support.factories import moving_frames, write_xa
from tests.support.honest import Fault, put, report_like, rewrite, segmentation_like, write_cine, write_frame

LOSSLESS: tuple[CompressionName, ...] = ("none", "rle", "jpegls", "j2k")


def jpeg(quality: int = 75) -> Compression:
    return Compression("jpeg", quality)


def syntax(uid: str) -> Fault:
    return lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", uid)


def jpeg_called_lossless(ds: Dataset) -> None:
    """The frames as JPEG Baseline, and not a word of it in the header."""
    streams = []
    for frame in ds.pixel_array:
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, format="JPEG", quality=90)
        streams.append(stream.getvalue())
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True


def jpeg_without_ratio(ds: Dataset) -> None:
    jpeg_called_lossless(ds)
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"


def jpeg_not_the_last_step(ds: Dataset) -> None:
    jpeg_called_lossless(ds)
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionMethod = ["ISO_10918_1", "ISO_15444_1"]
    ds.LossyImageCompressionRatio = [4, 5]


def paint(row: slice, value: int, frame: int = -1) -> Fault:
    """Overwrite rows of one frame of an uncompressed object."""

    def apply(ds: Dataset) -> None:
        pixels = ds.pixel_array.copy()
        (pixels[frame] if pixels.ndim == 3 else pixels)[row] = value
        ds.PixelData = pixels.tobytes()

    return apply


def says_no_banner(ds: Dataset) -> None:
    ds.DerivationDescription = ds.DerivationDescription.replace(
        "banner burned into every frame", "no banner burned in"
    )


def without_last_frame(ds: Dataset, *, table: bool) -> None:
    streams = list(generate_frames(ds.PixelData, number_of_frames=4))
    ds.PixelData = encapsulate(streams[:-1], has_bot=table)


def table_between_fragments(ds: Dataset) -> None:
    first = struct.unpack("<I", ds.PixelData[12:16])[0]
    ds.PixelData = ds.PixelData[:12] + struct.pack("<I", first + 2) + ds.PixelData[16:]


def frames_of_rubbish(ds: Dataset) -> None:
    ds.PixelData = encapsulate([b"rubbish."] * 4)


def no_more_fragments(ds: Dataset) -> None:
    ds.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" + b"here a stream of fragments is wanted"


FAULTS: list[tuple[str, Fault]] = [
    ("transfer-syntax", syntax(DeflatedExplicitVRLittleEndian)),
    ("transfer-syntax", syntax(ExplicitVRBigEndian)),
    ("lossy-chain", put(LossyImageCompression="0")),
    ("lossy-chain", put(LossyImageCompression="01", LossyImageCompressionRatio=[4.0, 2.0])),
    ("lossy-chain", put(LossyImageCompressionRatio=[4.0], LossyImageCompressionMethod="ISO_10918_1")),
    ("lossy-chain", jpeg_called_lossless),
    ("lossy-chain", jpeg_without_ratio),
    ("lossy-chain", jpeg_not_the_last_step),
    ("presentation", put(VOILUTFunction="LINEAR")),
    ("presentation", put(PresentationLUTShape="INVERSE")),
    ("presentation", put(PhotometricInterpretation="MONOCHROME1")),
    ("presentation", put(WindowWidth=80)),
    ("presentation", put(RescaleSlope=2)),
    ("pixel-format", put(BitsStored=7, HighBit=6, WindowCenter=64, WindowWidth=128)),
    ("pixel-format", put(HighBit=6)),
    ("pixel-format", put(PixelRepresentation=1)),
    ("pixel-length", put(NumberOfFrames=5)),
    ("pixel-length", put(PixelData=None)),
    ("banner-pixels", paint(slice(-12, None), 0)),
    ("banner-pixels", paint(slice(-12, None), 255, frame=0)),
    ("banner-pixels", says_no_banner),
]

ENCODED_FAULTS: list[tuple[str, Fault]] = [
    ("pixel-frames", put(NumberOfFrames=5)),
    ("pixel-frames", lambda ds: setattr(ds, "PixelData", ds.PixelData[: len(ds.PixelData) // 2])),
    ("pixel-frames", no_more_fragments),
    ("pixel-frames", lambda ds: without_last_frame(ds, table=True)),
    ("pixel-frames", lambda ds: without_last_frame(ds, table=False)),
    ("pixel-frames", table_between_fragments),
    ("lossy-chain", syntax(JPEGLSNearLossless)),
    ("banner-pixels", frames_of_rubbish),
]


def rules_broken(ds: Dataset) -> set[str]:
    return {finding.rule for finding in verify_dataset(ds)}


@pytest.fixture
def cine(tmp_path: Path) -> Dataset:
    return dcmread(write_cine(cine_of(tmp_path), tmp_path / "cine.dcm"))


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=lambda part: part if isinstance(part, str) else "")
def test_each_fault_is_found_by_its_rule_and_by_no_other(cine: Dataset, rule: str, fault: Fault) -> None:
    fault(cine)

    assert rules_broken(cine) == {rule}


@pytest.mark.parametrize(
    ("rule", "fault"), ENCODED_FAULTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_each_fault_of_an_encoded_object_is_found_in_memory_and_in_the_file(
    tmp_path: Path, rule: str, fault: Fault
) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "cine.dcm", compression=Compression("jpegls"))
    assert verify_file(path) == []

    rewrite(path, fault)

    assert rule in {finding.rule for finding in verify_file(path)}
    assert rule in rules_broken(dcmread(path))


def test_every_rule_of_the_pixels_has_a_fault() -> None:
    assert {rule for rule, _ in (*FAULTS, *ENCODED_FAULTS)} == set(PIXEL_RULES)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("name", LOSSLESS)
def test_honest_objects_of_every_form_are_without_fault(
    tmp_path: Path, name: CompressionName, bits: int
) -> None:
    source, compression = cine_of(tmp_path), Compression(name)

    cine = write_cine(source, tmp_path / "cine.dcm", bits=bits, compression=compression)
    frame = write_frame(source, tmp_path / "frame.dcm", bits=bits, compression=compression)

    assert verify_file(cine) == []
    assert verify_file(frame) == []


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("side", [64, 256, 512])
def test_banner_is_recognised_after_lossy_compression(tmp_path: Path, quality: int, side: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2, side, max(side, 80)), dtype=np.uint8)
    source = find_series([write_xa(tmp_path / "source", noise)]).cines[0]

    for banner in (True, False):
        path = write_cine(source, tmp_path / "cine.dcm", banner=banner, compression=jpeg(quality))

        assert verify_file(path) == []


@pytest.mark.parametrize("bits", [12, 16])
def test_banner_of_eight_bits_in_a_picture_of_more_is_no_banner(tmp_path: Path, bits: int) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "cine.dcm", bits=bits)

    def dim(ds: Dataset) -> None:
        ds.PixelData = np.minimum(ds.pixel_array, 255).astype("<u2").tobytes()

    assert {finding.rule for finding in verify_file(rewrite(path, dim))} == {"banner-pixels"}


@pytest.mark.parametrize("value", [0, 255])
def test_even_pictures_are_not_taken_for_a_banner(cine: Dataset, value: int) -> None:
    says_no_banner(cine)
    for frame in range(4):
        paint(slice(None), value, frame)(cine)

    assert verify_dataset(cine) == []


def test_odd_pixels_are_padded_to_an_even_length(tmp_path: Path) -> None:
    source = find_series([write_xa(tmp_path / "odd", moving_frames(3, 65, 81))]).cines[0]

    ds = dcmread(write_cine(source, tmp_path / "cine.dcm"))

    assert verify_dataset(ds) == []
    ds.PixelData = ds.PixelData[:-1]
    assert rules_broken(ds) == {"pixel-length"}


def test_a_banner_elsewhere_does_not_count(cine: Dataset) -> None:
    pixels = np.roll(cine.pixel_array, -20, axis=1)
    cine.PixelData = pixels.tobytes()

    assert rules_broken(cine) == {"banner-pixels"}


@pytest.mark.parametrize(
    "format_", [(8, 12, 11), (16, 10, 9), (16, 8, 7), (16, 12, 15), (16, 14, 13), (32, 16, 15)]
)
def test_words_hold_12_or_16_bits_at_the_bottom(tmp_path: Path, format_: tuple[int, int, int]) -> None:
    ds = dcmread(write_cine(cine_of(tmp_path), tmp_path / "cine.dcm", bits=12))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = format_
    ds.WindowCenter, ds.WindowWidth = 2 ** (ds.BitsStored - 1), 2**ds.BitsStored

    assert rules_broken(ds) - {"pixel-length"} == {"pixel-format"}


def test_bytes_are_not_enough_for_an_object_of_words(cine: Dataset) -> None:
    cine.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"

    assert rules_broken(cine) == {"pixel-format"}


def test_bits_of_a_segmentation_are_counted_over_all_frames(cine: Dataset) -> None:
    ds = segmentation_like(cine)
    ds.PixelData = ds.PixelData[:-2]

    assert rules_broken(ds) == {"pixel-length"}


def test_a_report_is_not_compressed(cine: Dataset) -> None:
    ds = report_like(cine)
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless

    assert rules_broken(ds) == {"transfer-syntax"}


def test_a_frame_too_small_for_any_banner_cannot_claim_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too small"):
        banner_for(64, 8)
    ds = dcmread(write_cine(cine_of(tmp_path), tmp_path / "cine.dcm"))
    ds.Columns, ds.Rows = 8, 640

    assert rules_broken(ds) == {"banner-pixels"}


def test_a_long_offset_table_is_read_too(tmp_path: Path) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "cine.dcm", compression=Compression("j2k"))

    def extend(ds: Dataset) -> None:
        streams = list(generate_frames(ds.PixelData, number_of_frames=4))
        ds.PixelData = encapsulate(streams, has_bot=False)
        starts = np.cumsum([0] + [len(stream) + 8 for stream in streams[:-1]])
        ds.ExtendedOffsetTable = starts.astype("<u8").tobytes()
        ds.ExtendedOffsetTableLengths = np.array([len(s) for s in streams], "<u8").tobytes()

    assert verify_file(rewrite(path, extend)) == []
    rewrite(path, lambda ds: setattr(ds, "ExtendedOffsetTable", ds.ExtendedOffsetTable[:-8]))
    assert "pixel-frames" in {finding.rule for finding in verify_file(path)}
