"""Frames out of files: every transfer syntax, and every way a stream can be broken."""

from __future__ import annotations

import subprocess
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.errors import CasganError, PixelError
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.source.cine import Cine
from tests.support.cines import cine_of
from tests.support.factories import Frames, moving_frames, write_xa, write_xa_single_frames
from tests.support.programs import find_program

LOSSLESS = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
]


def joined(paths: list[Path]) -> Cine:
    """One cine of these files, whatever the rules of grouping say."""
    cines = [cine_of(path) for path in paths]
    instances = tuple(cine.instances[0] for cine in cines)
    headers = tuple(cine.header for cine in cines)
    return replace(cines[0], instances=instances, headers=headers, frames=len(paths))


def decoded(path: Path) -> Frames:
    return np.stack(list(iter_frames(cine_of(path))))


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    """Rewrite a file after a change to its data set."""
    ds = dcmread(path)
    change(ds)
    ds.save_as(path)
    return path


def fragments_of(path: Path) -> list[bytes]:
    """Fragments of encapsulated Pixel Data without the offset table."""
    return list(generate_fragments(dcmread(path).PixelData))[1:]


def dcmtk(program: str, *arguments: object) -> None:
    """Run a program of DCMTK."""
    command = [find_program(program, "dcmtk"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("bits", [8, 12])
def test_lossless_frames_come_out_as_they_went_in(tmp_path: Path, syntax: UID, bits: int) -> None:
    run = moving_frames(5, 66, 80, bits)

    path = write_xa(tmp_path / "run", run, syntax=syntax, BitsStored=bits)

    np.testing.assert_array_equal(decoded(path), run)


@pytest.mark.parametrize("option", ["+e1", "+el"])
def test_jpeg_lossless_frames_come_out_as_they_went_in(tmp_path: Path, option: str) -> None:
    run = moving_frames(3, 64, 80, 12)
    raw = write_xa(tmp_path / "raw", run, BitsStored=12)
    dcmtk("dcmcjpeg", option, raw, tmp_path / "lossless")

    np.testing.assert_array_equal(decoded(tmp_path / "lossless"), run)


def test_signed_frames_come_out_as_they_went_in(tmp_path: Path) -> None:
    run = moving_frames(2, 64, 80, 12).astype(np.int16) - 2048

    path = write_xa(tmp_path / "run", run, BitsStored=12)

    np.testing.assert_array_equal(decoded(path), run)


def test_single_frames_come_out_in_the_order_of_time(tmp_path: Path) -> None:
    run = moving_frames(7)
    write_xa_single_frames(tmp_path, run)

    np.testing.assert_array_equal(decoded(tmp_path), run)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_twelve_bit_jpeg_extended_is_neither_inverted_nor_rescaled(tmp_path: Path, photometric: str) -> None:
    raw = write_xa(
        tmp_path / "raw",
        moving_frames(3, 64, 80, 12),
        BitsStored=12,
        PhotometricInterpretation=photometric,
        RescaleSlope=2,
        RescaleIntercept=-1000,
    )
    dcmtk("dcmcjpeg", "+ee", raw, tmp_path / "extended")
    dcmtk("dcmdjpeg", tmp_path / "extended", tmp_path / "back")

    ours = decoded(tmp_path / "extended").astype(int)

    theirs = dcmread(tmp_path / "back").pixel_array.astype(int)
    assert np.abs(ours - theirs).max() <= 1  # as above


def test_decoding_twelve_bit_jpeg_extended_says_nothing_on_stderr(
    real_xa: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    decoded(real_xa / "XA1_cerebral_10bit_JPLY.dcm")

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit], ids=lambda uid: uid.keyword)
def test_a_file_that_is_cut_short_never_gives_a_run(tmp_path: Path, syntax: UID) -> None:
    whole = write_xa(tmp_path / "whole" / "run", moving_frames(4), syntax=syntax).read_bytes()
    cut = tmp_path / "cut"
    for length in np.linspace(200, len(whole) - 12, 25).astype(int):
        cut.write_bytes(whole[:length])
        with pytest.raises(CasganError):
            decoded(cut)


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("promised", [1, 3, 5, 9])
def test_a_wrong_number_of_frames_is_an_error(tmp_path: Path, syntax: UID, promised: int) -> None:
    path = write_xa(tmp_path / "run", moving_frames(4), syntax=syntax, NumberOfFrames=promised)

    with pytest.raises(PixelError, match=r"PixelData \(7FE0,0010\)|NumberOfFrames \(0028,0008\)|decoded"):
        decoded(path)


def test_rle_in_more_fragments_than_the_standard_allows_is_put_together(tmp_path: Path) -> None:
    """Such a stream makes pydicom yield one frame of four and say nothing."""
    run = moving_frames(4)
    path = write_xa(tmp_path / "run", run, syntax=RLELossless)
    ds = dcmread(path)
    frames = list(generate_frames(ds.PixelData, number_of_frames=4))
    ds.PixelData = encapsulate([part for frame in frames for part in (frame[:80], frame[80:])], has_bot=False)
    ds.save_as(path)

    np.testing.assert_array_equal(decoded(path), run)


def test_frames_in_several_fragments_are_put_together(tmp_path: Path) -> None:
    run = moving_frames(4)
    path = write_xa(tmp_path / "run", run, syntax=JPEG2000Lossless)
    ds = dcmread(path)
    frames = list(generate_frames(ds.PixelData, number_of_frames=4))
    ds.PixelData = encapsulate(frames, fragments_per_frame=3, has_bot=True)
    ds.save_as(path)

    np.testing.assert_array_equal(decoded(path), run)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless])
def test_frames_encoded_with_other_sides_than_the_header_says_are_an_error(
    tmp_path: Path, syntax: UID
) -> None:
    """Rows and Columns swapped: as many pixels, so that nothing but the stream itself tells."""
    path = write_xa(tmp_path / "run", moving_frames(2, 64, 80), syntax=syntax, Rows=80, Columns=64)

    with pytest.raises(PixelError, match="encoded as"):
        decoded(path)


def test_a_damaged_stream_is_a_pixel_error_that_names_the_instance(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run", moving_frames(2), syntax=JPEG2000Lossless)
    cine = cine_of(path)
    whole = path.read_bytes()
    at = whole.index(b"\xff\x4f\xff\x51")
    path.write_bytes(whole[: at + 4] + b"\xa5" * 60 + whole[at + 64 :])

    with pytest.raises(PixelError, match=cine.instances[0].sop_instance_uid) as caught:
        list(iter_frames(cine))

    assert caught.value.hint


def test_a_byte_of_padding_is_no_error_and_no_warning(tmp_path: Path) -> None:
    run = moving_frames(3, 65, 67)  # an odd number of bytes

    np.testing.assert_array_equal(decoded(write_xa(tmp_path / "run", run)), run)


def test_an_instance_without_pixel_data_is_a_pixel_error(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run")

    def strip(ds: Dataset) -> None:
        del ds.PixelData

    changed(path, strip)

    with pytest.raises(PixelError, match=r"PixelData \(7FE0,0010\) is absent"):
        decoded(path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian])
def test_memory_does_not_grow_with_the_run(tmp_path: Path, syntax: UID) -> None:
    def peak(frames: int) -> int:
        folder = tmp_path / str(frames)
        cine = cine_of(
            write_xa(folder / "run", moving_frames(frames, 128, 128, 12), syntax=syntax, BitsStored=12)
        )
        tracemalloc.start()
        for _ in iter_frames(cine):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(4)  # what is imported or cached on first use
    few, many = peak(8), peak(160)

    assert many < few + 4 * 128 * 128 * 2  # four frames, of 152 more


def test_an_uncompressed_run_that_declares_nothing_is_lossless(tmp_path: Path) -> None:
    history = lossy_history(cine_of(write_xa(tmp_path / "run")))

    assert (history.lossy, history.ratios, history.methods) == (False, (), ())


def test_jpeg_baseline_is_lossy_whatever_the_header_says(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run", syntax=JPEGBaseline8Bit, LossyImageCompression="00")
    fragments = fragments_of(path)

    history = lossy_history(cine_of(path))

    assert history.lossy
    assert history.methods == ("ISO_10918_1",)
    assert list(history.ratios) == pytest.approx([4 * 64 * 80 / sum(map(len, fragments))], abs=1e-4)


@pytest.mark.parametrize(
    ("declared", "ratios", "methods"),
    [
        (
            {"LossyImageCompressionRatio": 12, "LossyImageCompressionMethod": "ISO_10918_1"},
            (12.0,),
            ("ISO_10918_1",),
        ),
        ({"LossyImageCompressionRatio": 12}, (12.0,), ("ISO_10918_1",)),
        (
            {
                "LossyImageCompressionRatio": [5, 12],
                "LossyImageCompressionMethod": ["ISO_15444_1", "ISO_10918_1"],
            },
            (5.0, 12.0),
            ("ISO_15444_1", "ISO_10918_1"),
        ),
    ],
)
def test_what_the_header_declares_is_not_counted_twice(
    tmp_path: Path, declared: dict[str, object], ratios: tuple[float, ...], methods: tuple[str, ...]
) -> None:
    path = write_xa(tmp_path / "run", None, syntax=JPEGBaseline8Bit, LossyImageCompression="01", **declared)

    history = lossy_history(cine_of(path))

    assert (history.lossy, history.ratios, history.methods) == (True, ratios, methods)


def test_an_earlier_compression_comes_before_the_present_one(tmp_path: Path) -> None:
    path = write_xa(
        tmp_path / "run",
        syntax=JPEGBaseline8Bit,
        LossyImageCompression="01",
        LossyImageCompressionRatio=9,
        LossyImageCompressionMethod="ISO_15444_1",
    )

    history = lossy_history(cine_of(path))

    assert history.methods == ("ISO_15444_1", "ISO_10918_1")
    assert history.ratios[0] == 9.0
    assert len(history.ratios) == 2


@pytest.mark.parametrize("keyword", ["LossyImageCompression", "LossyImageCompressionRetired"])
def test_once_lossy_is_lossy_when_decompressed(tmp_path: Path, keyword: str) -> None:
    assert lossy_history(cine_of(write_xa(tmp_path / "run", None, **{keyword: "01"}))).lossy


@pytest.mark.parametrize(("flag", "lossy"), [("00", False), ("01", True), (None, False)])
def test_jpeg_2000_of_which_nothing_was_cut_off_is_lossless_unless_it_was_lossy_before(
    tmp_path: Path, flag: str | None, lossy: bool
) -> None:
    path = write_xa(tmp_path / "run", syntax=JPEG2000Lossless, LossyImageCompression=flag)

    def relabel(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = JPEG2000

    assert lossy_history(cine_of(changed(path, relabel))).lossy is lossy


@pytest.mark.parametrize("ratio", ["nonsense", "nan", "-3"])
def test_a_ratio_that_is_none_is_measured_instead(tmp_path: Path, ratio: str) -> None:
    path = write_xa(tmp_path / "a", syntax=JPEGBaseline8Bit, LossyImageCompression="01")
    content = path.read_bytes()
    value = ratio.encode().ljust(8)
    method = b"\x28\x00\x12\x21DS" + len(value).to_bytes(2, "little") + value
    lossy = content.index(b"\x28\x00\x10\x21CS")
    path.write_bytes(content[: lossy + 10] + method + content[lossy + 10 :])

    history = lossy_history(cine_of(path))

    assert history.methods == ("ISO_10918_1",)
    assert history.ratios[0] > 1


def test_one_lossy_file_makes_a_run_lossy(tmp_path: Path) -> None:
    paths = write_xa_single_frames(tmp_path, moving_frames(4))
    changed(paths[2], lambda ds: setattr(ds, "LossyImageCompression", "01"))

    history = lossy_history(joined(paths))

    assert (history.lossy, history.ratios, history.methods) == (True, (), ())


def test_lossy_files_among_lossless_ones_are_found_and_measured(tmp_path: Path) -> None:
    run = moving_frames(5)
    paths = write_xa_single_frames(tmp_path / "lossless", run, syntax=JPEG2000Lossless)
    lossy = write_xa_single_frames(tmp_path / "lossy", run, syntax=JPEGBaseline8Bit)[3:]
    encoded = sum(len(part) for path in lossy for part in fragments_of(path))

    history = lossy_history(joined([*paths[:3], *lossy]))

    assert (history.lossy, history.methods) == (True, ("ISO_10918_1",))
    assert list(history.ratios) == pytest.approx([2 * 64 * 80 / encoded], abs=1e-4)


def test_methods_of_several_files_stand_in_the_order_of_their_appearance(tmp_path: Path) -> None:
    paths = write_xa_single_frames(tmp_path, moving_frames(4))
    steps = [("ISO_15444_1", 7), ("ISO_10918_1", 20), ("ISO_15444_1", 9)]
    for path, (method, ratio) in zip(paths[1:], steps, strict=True):
        ds = dcmread(path)
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionMethod, ds.LossyImageCompressionRatio = method, ratio
        ds.save_as(path)

    history = lossy_history(joined(paths))

    assert (history.ratios, history.methods) == ((7.0, 20.0), ("ISO_15444_1", "ISO_10918_1"))


def test_a_method_that_was_declared_without_ratio_takes_none_from_another(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "run", syntax=JPEGBaseline8Bit, LossyImageCompressionMethod="ISO_15444_1")

    history = lossy_history(cine_of(path))

    assert (history.lossy, history.methods) == (True, ("ISO_10918_1",))


def test_the_real_run_has_its_96_frames_and_is_lossy(real_xa: Path, tmp_path: Path) -> None:
    path = real_xa / "XA_RCA_96f_jpegbaseline.dcm"
    dcmtk("dcmdjpeg", path, tmp_path / "back")

    frames = decoded(path).astype(int)

    assert frames.shape == (96, 512, 512)
    assert np.abs(frames - dcmread(tmp_path / "back").pixel_array.astype(int)).max() <= 1
    history = lossy_history(cine_of(path))
    assert (history.lossy, history.methods) == (True, ("ISO_10918_1",))
    assert 14 < history.ratios[0] < 15  # 25,165,824 bytes of pixels in a file of 1,702,398


def test_the_real_stills_hold_the_same_picture(real_xa: Path) -> None:
    truth = decoded(real_xa / "XA1_cerebral_10bit_UNC.dcm").astype(int)

    for name in ("RLE", "J2KR"):
        np.testing.assert_array_equal(decoded(real_xa / f"XA1_cerebral_10bit_{name}.dcm"), truth)
    error = np.abs(decoded(real_xa / "XA1_cerebral_10bit_JPLY.dcm") - truth)
    # JPEG at 48:1 on 10 bits; inverted or rescaled it would be hundreds off.
    assert error.mean() < 3


def test_the_real_twelve_bit_still_agrees_with_dcmtk(real_xa: Path, tmp_path: Path) -> None:
    path = real_xa / "XA1_cerebral_10bit_JPLY.dcm"
    dcmtk("dcmdjpeg", path, tmp_path / "back")

    error = np.abs(decoded(path)[0].astype(int) - dcmread(tmp_path / "back").pixel_array.astype(int))

    assert error.max() <= 1


@pytest.mark.parametrize(
    ("syntax", "decoder"),
    [
        (JPEGBaseline8Bit, "GDCM, in a process of its own"),
        (JPEGLSLossless, "CharLS (pyjpegls)"),
        (RLELossless, "pydicom, frame by frame"),
    ],
)
def test_what_cannot_be_decoded_names_the_frame_and_the_decoder(
    tmp_path: Path, syntax: UID, decoder: str
) -> None:
    path = write_xa(tmp_path / "run", syntax=syntax)
    ds = dcmread(path)
    streams = list(generate_frames(ds.PixelData, number_of_frames=4))
    whole = streams[2].rstrip(b"\0")
    end = whole[-2:] if syntax != RLELossless else b""
    streams[2] = whole[: len(whole) // 2] + end
    ds.PixelData = encapsulate(streams)
    ds.save_as(path)

    with pytest.raises(PixelError) as caught:
        decoded(path)

    assert f"cannot be decoded (frame 3, {decoder}: " in caught.value.message
    assert not caught.value.message.endswith(":)")
