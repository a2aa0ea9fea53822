"""Every form in which a conversion can be written, through the whole pipeline."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from casgan_dicom.conversion.options import Bits, ConvertOptions, FrameChoice
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport, Output
from casgan_dicom.errors import OutputError
from casgan_dicom.model.generator import Synthesis
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.verification.verify import verify_file
from tests.support.factories import Frames, moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.painter import DiscPainter, disc_attention
from tests.support.validators import dcentvfy, dciodvfy, of_our_making

PLAIN = ConvertOptions(banner=False)
LOSSLESS = {"rle": RLELossless, "jpegls": JPEGLSLossless, "j2k": JPEG2000Lossless}
COMPRESSIONS = {"none": ExplicitVRLittleEndian, **LOSSLESS}
EVERYTHING = ConvertOptions(maps=True, seg=True, sr=True, preview=True)
FORMS = [
    EVERYTHING,
    replace(EVERYTHING, single_frames=True),
    replace(EVERYTHING, bits=12, compression=Compression("j2k")),
    replace(EVERYTHING, bits=16, single_frames=True, compression=Compression("rle")),
    replace(EVERYTHING, compression=Compression("jpeg", 90)),
    replace(EVERYTHING, compression=Compression("jpegls"), frames=FrameChoice("2-4"), bits=12),
]


def convert(source: Path | list[Path], out: Path, options: ConvertOptions) -> ConvertReport:
    sources = source if isinstance(source, list) else [source]
    load = DiscPainter().as_generator
    return convert_series(sources, load, options, out, clock=lambda: datetime(2026, 5, 1, tzinfo=UTC))


def converted(source: Path | list[Path], out: Path, options: ConvertOptions) -> Output:
    (output,) = convert(source, out, options).outputs
    return output


def twelve_bits(folder: Path, frames: int = 6) -> Path:
    return write_xa(folder / "in" / "run", moving_frames(frames, 64, 80, bits=12), BitsStored=12)


def by_hand(frames: Frames, bits_in: int, bits_out: int) -> Frames:
    """What the painter makes of frames without window, redone in float64."""
    shown = frames / (2**bits_in - 1)
    attention = np.where(disc_attention(*frames.shape[1:]) == 0.5, 0.5, 0.0)
    return np.asarray(shown * (1 - attention) * (2**bits_out - 1))


def pixels(path: Path) -> Frames:
    return np.asarray(pixel_array(path))


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_frames_of_each_depth_and_lossless_compression_are_what_was_made(
    tmp_path: Path, bits: int, name: str
) -> None:
    options = replace(PLAIN, bits=bits, compression=Compression(name))  # type: ignore[arg-type]

    output = converted(twelve_bits(tmp_path), tmp_path / "out", options)

    ds = dcmread(output.path)
    expected = by_hand(moving_frames(6, 64, 80, bits=12), 12, bits)
    np.testing.assert_allclose(pixels(output.path), expected, atol=0.5001)  # half a level is a tie
    assert ds.SOPClassUID == (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage
        if bits == 8
        else MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    )
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (8 if bits == 8 else 16, bits, bits - 1)
    assert ds.file_meta.TransferSyntaxUID == COMPRESSIONS[name]
    assert "LossyImageCompression" not in ds  # as in the source, which may have a history
    assert (output.bits, output.lossy) == (bits, None)


def test_a_source_of_eight_bits_is_written_in_eight_and_that_is_said(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "run", moving_frames(3, 64, 80))

    output = converted(source, tmp_path / "out", replace(PLAIN, bits=12))

    assert dcmread(output.path).BitsStored == 8
    assert any("8 bits" in said for said in output.warnings)


@pytest.mark.parametrize("bits", [8, 12])
def test_single_frames_are_objects_of_one_series_in_order(tmp_path: Path, bits: Bits) -> None:
    source = twelve_bits(tmp_path)

    cine = converted(source, tmp_path / "cine", replace(PLAIN, bits=bits))
    single = converted(source, tmp_path / "single", replace(PLAIN, bits=bits, single_frames=True))

    headers = [dcmread(one.path) for one in single.objects]
    assert [one.kind for one in single.objects] == ["frame"] * 6
    assert {ds.SOPClassUID for ds in headers} == {SecondaryCaptureImageStorage}
    assert [ds.InstanceNumber for ds in headers] == [1, 2, 3, 4, 5, 6]
    assert len({ds.SOPInstanceUID for ds in headers}) == 6
    assert len({ds.SeriesInstanceUID for ds in headers}) == 1
    assert headers[0].SeriesInstanceUID != dcmread(cine.path).SeriesInstanceUID
    np.testing.assert_array_equal(np.stack([ds.pixel_array for ds in headers]), pixels(cine.path))
    for k, ds in enumerate(headers, 1):
        (item,) = ds.SourceImageSequence
        assert item.ReferencedFrameNumber == k
        assert not {"FrameTime", "CineRate", "FrameIncrementPointer", "NumberOfFrames"} & set(ds.dir())


def test_a_single_frame_refers_to_the_single_frame_it_was_made_of(tmp_path: Path) -> None:
    sources = write_xa_single_frames(tmp_path / "in", moving_frames(4, 64, 80))

    output = converted(sources, tmp_path / "out", replace(PLAIN, single_frames=True))

    items = [dcmread(one.path).SourceImageSequence[0] for one in output.objects]
    assert [item.ReferencedSOPInstanceUID for item in items] == [uid(f"single {k}") for k in range(4)]
    assert not any("ReferencedFrameNumber" in item for item in items)


def test_chosen_frames_are_those_of_the_source_and_named(tmp_path: Path) -> None:
    whole = converted(twelve_bits(tmp_path), tmp_path / "whole", PLAIN)

    output = converted(tmp_path / "in" / "run", tmp_path / "part", replace(PLAIN, frames=FrameChoice("3-5")))

    ds = dcmread(output.path)
    assert [item.ReferencedFrameNumber for item in ds.SourceImageSequence] == [[3, 4, 5]]
    assert "Frames 3-5 of the source" in ds.DerivationDescription
    assert (output.frames, output.source_frames) == (3, 6)
    assert [each.frame for each in output.quality] == [3, 4, 5]
    np.testing.assert_array_equal(pixels(output.path), pixels(whole.path)[2:5])


def injected(frames: int, from_frame: int) -> Frames:
    """Frames with a dark disc from one on: what the painter's segmentor takes for opacified vessels."""
    run = moving_frames(frames, 64, 80)
    disc = disc_attention(64, 80) == 0.5
    run[from_frame:, disc] //= 8
    return run


def test_frames_with_contrast_are_marked_and_can_be_left_out(tmp_path: Path) -> None:
    source = write_xa(
        tmp_path / "in" / "run", injected(12, 8), FrameTime=200
    )  # slow: each frame is looked at

    everything = converted(source, tmp_path / "all", PLAIN)
    early = converted(source, tmp_path / "early", replace(PLAIN, frames=FrameChoice("non-contrast")))

    assert everything.opacified == "9-12"
    assert [each.opacified for each in everything.quality] == [False] * 8 + [True] * 4
    assert any("opacified" in said for said in everything.warnings)
    assert [each.frame for each in early.quality] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert dcmread(early.path).NumberOfFrames == 8


def test_frames_chosen_from_the_middle_keep_their_times(tmp_path: Path) -> None:
    vector = [0, 40, 41, 42, 43, 44]
    source = write_xa(
        tmp_path / "in" / "run",
        moving_frames(6, 64, 80),
        FrameTime=None,
        FrameTimeVector=vector,
        FrameIncrementPointer=0x00181065,
    )

    output = converted(source, tmp_path / "out", replace(PLAIN, frames=FrameChoice("3-6")))

    assert dcmread(output.path).FrameTimeVector == [0, 42, 43, 44]


def test_lossy_compression_continues_the_chain(tmp_path: Path) -> None:
    frames = moving_frames(4, 64, 80)
    source = write_xa(tmp_path / "in" / "run", frames, syntax=JPEGBaseline8Bit)

    output = converted(source, tmp_path / "out", replace(PLAIN, compression=Compression("jpeg", 95)))

    ds = dcmread(output.path)
    raw = 4 * 64 * 80
    encoded = output.path.stat().st_size
    assert ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert ds.LossyImageCompression == "01"
    assert ds.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_10918_1"]
    assert len(ds.LossyImageCompressionRatio) == 2
    assert raw / encoded < ds.LossyImageCompressionRatio[1] < raw / (encoded / 4)
    assert output.lossy


def test_maps_are_a_second_series_of_attention_and_vessels(tmp_path: Path) -> None:
    output = converted(twelve_bits(tmp_path), tmp_path / "out", replace(PLAIN, maps=True))

    angiogram, attention, vessels = output.objects
    disc = disc_attention(64, 80) == 0.5
    assert [one.kind for one in output.objects] == ["angiogram", "attention", "vessels"]
    assert attention.series_uid == vessels.series_uid != angiogram.series_uid
    drawn, seen = pixels(attention.path), pixels(vessels.path)
    assert set(np.unique(drawn[:, disc])) == {128}
    assert drawn[:, ~disc].max() == 0
    np.testing.assert_array_equal(seen, np.broadcast_to(np.where(disc, 255, 0), seen.shape))
    numbers = [dcmread(one.path, stop_before_pixels=True).InstanceNumber for one in output.objects]
    assert numbers == [1, 1, 2]


@pytest.mark.parametrize("options", FORMS, ids=lambda options: options.compression.name)
def test_every_object_of_every_form_satisfies_both_validators(
    tmp_path: Path, options: ConvertOptions
) -> None:
    source = twelve_bits(tmp_path)
    if options.compression.name == "jpeg":
        source = write_xa(tmp_path / "in" / "run", moving_frames(6, 64, 80))

    output = converted(source, tmp_path / "out", options)

    kinds = Counter(one.kind for one in output.objects)
    first = "frame" if options.single_frames else "angiogram"
    assert set(kinds) == {first, "attention", "vessels", "segmentation", "quality-record"}
    for one in output.objects:
        assert verify_file(one.path) == [], one.kind
        assert of_our_making(dciodvfy(one.path)) == [], one.kind
    assert dcentvfy(source, *(one.path for one in output.objects)) == []


@pytest.mark.parametrize("options", FORMS, ids=lambda options: options.compression.name)
def test_the_same_input_and_options_give_the_same_objects(tmp_path: Path, options: ConvertOptions) -> None:
    source = twelve_bits(tmp_path)
    if options.compression.name == "jpeg":
        source = write_xa(tmp_path / "in" / "run", moving_frames(6, 64, 80))
    first = converted(source, tmp_path / "out", options)

    again = converted(source, tmp_path / "out", options)
    elsewhere = converted(source, tmp_path / "other", options)

    assert {one.status for one in again.objects} == {"kept"}
    assert [one.sop_instance_uid for one in elsewhere.objects] == [
        one.sop_instance_uid for one in first.objects
    ]
    for one, other in zip(first.objects, elsewhere.objects, strict=True):
        assert dcmread(one.path).get("PixelData") == dcmread(other.path).get("PixelData")


def test_every_option_that_changes_the_output_gives_it_another_uid(tmp_path: Path) -> None:
    source = twelve_bits(tmp_path)
    options = [
        PLAIN,
        replace(PLAIN, banner=True),
        replace(PLAIN, bits=12),
        replace(PLAIN, bits=16),
        replace(PLAIN, single_frames=True),
        replace(PLAIN, compression=Compression("rle")),
        replace(PLAIN, compression=Compression("j2k")),
        replace(PLAIN, compression=Compression("jpeg", 90)),
        replace(PLAIN, compression=Compression("jpeg", 91)),
        replace(PLAIN, frames=FrameChoice("1-5")),
    ]

    outputs = [converted(source, tmp_path / str(k), each) for k, each in enumerate(options)]

    assert len({output.series_uid for output in outputs}) == len(options)
    assert len({output.sop_instance_uid for output in outputs}) == len(options)


def two_cines(folder: Path, **same: object) -> Path:
    """Two multi-frame cines of one series with the same Instance Number, as biplane systems write them."""
    for name in ("a", "b"):
        run = moving_frames(3, 64, 80)
        write_xa(folder / name, run if name == "a" else run[::-1], SOPInstanceUID=uid(name), **same)
    return folder


@pytest.mark.parametrize("captures", [False, True])
def test_two_cines_of_a_series_keep_all_their_objects(tmp_path: Path, captures: bool) -> None:
    same = {"SOPClassUID": MultiFrameGrayscaleByteSecondaryCaptureImageStorage} if captures else {}
    source = two_cines(tmp_path / "in", **same)

    report = convert(source, tmp_path / "out", replace(EVERYTHING, force=captures))

    assert report.skipped == ()
    paths = [one.path for output in report.outputs for one in output.objects]
    assert len(set(paths)) == 10
    assert all(path.is_file() for path in paths)


def test_single_frames_of_two_cines_are_two_series(tmp_path: Path) -> None:
    report = convert(two_cines(tmp_path / "in"), tmp_path / "out", replace(PLAIN, single_frames=True))

    assert len({output.series_uid for output in report.outputs}) == 2


class Other(DiscPainter):
    """Another processor: its frames differ by a little, its masks do not."""

    def __call__(self, frames: npt.NDArray[np.float32], levels: object = None) -> Synthesis:
        made = super().__call__(frames)
        return replace(made, frames=made.frames * np.float32(0.98))


def test_what_was_made_of_a_replaced_angiogram_goes_with_it(tmp_path: Path) -> None:
    source, out = twelve_bits(tmp_path), tmp_path / "out"
    before = converted(source, out, replace(PLAIN, seg=True, sr=True))

    report = convert_series([source], Other().as_generator, replace(PLAIN, force=True), out)

    left = set(out.rglob("*.dcm"))
    assert left == {report.outputs[0].path}
    assert not any(one.path.exists() for one in before.objects)


def test_a_mask_of_another_angiogram_is_another_object(tmp_path: Path) -> None:
    source, options = twelve_bits(tmp_path), replace(PLAIN, seg=True)
    one = converted(source, tmp_path / "one", options)

    (other,) = convert_series([source], Other().as_generator, options, tmp_path / "other").outputs

    assert one.objects[0].sop_instance_uid != other.objects[0].sop_instance_uid
    assert one.objects[1].sop_instance_uid != other.objects[1].sop_instance_uid


def test_each_kind_says_what_it_is_and_whether_it_holds_the_banner(tmp_path: Path) -> None:
    output = converted(twelve_bits(tmp_path), tmp_path / "out", replace(EVERYTHING, sr=False))

    said = {one.kind: dcmread(one.path).DerivationDescription for one in output.objects}
    assert {kind: text.split(":")[0] for kind, text in said.items()} == {
        "angiogram": "Synthetic angiogram",
        "attention": "Attention map of a synthetic angiogram",
        "vessels": "Vessel mask of a synthetic angiogram",
        "segmentation": "Vessel mask of a synthetic angiogram",
    }
    assert "no banner burned in" in said["segmentation"]
    assert all("banner burned into" in said[kind] for kind in ("angiogram", "attention", "vessels"))


def test_nothing_is_said_to_be_drawn_behind_a_shutter(tmp_path: Path) -> None:
    shutter = {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 40}
    source = write_xa(tmp_path / "in" / "run", moving_frames(3, 64, 80), **shutter)

    output = converted(source, tmp_path / "out", replace(PLAIN, maps=True))

    drawn = pixels(output.objects[1].path)
    assert drawn[:, :, :39].max() == 0
    assert drawn[:, :, 39:].max() == 128
    assert output.mean_attention == pytest.approx(disc_attention(64, 80)[:, 39:].sum() / (64 * 80), rel=1e-5)


def test_the_largest_instance_number_leaves_room_for_the_maps(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "in" / "run", InstanceNumber=2**31 - 1)

    output = converted(source, tmp_path / "out", replace(PLAIN, maps=True))

    assert max(dcmread(one.path).InstanceNumber for one in output.objects) < 2**31


def test_an_object_that_cannot_be_moved_takes_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_xa(tmp_path / "in" / "run", moving_frames(4, 64, 80))
    replace_file, moved = Path.replace, []

    def third_fails(self: Path, target: Path) -> Path:
        moved.append(target)
        if len(moved) == 3:
            raise OSError(5, "Input/output error")
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", third_fails)

    with pytest.raises(OutputError, match="Input/output error"):
        convert(source, tmp_path / "out", replace(PLAIN, single_frames=True))

    assert list((tmp_path / "out").rglob("*")) == []


def test_an_output_of_single_frames_is_no_input_of_the_next_run(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "run", moving_frames(3, 64, 80))
    options = replace(EVERYTHING, single_frames=True)
    first = convert(tmp_path / "in", tmp_path / "in" / "out", options)

    again = convert(tmp_path / "in", tmp_path / "in" / "out", options)

    assert first.exit_code == again.exit_code == 0
    assert again.outputs[0].status == "kept"


def test_more_than_one_object_can_hold_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit that the frames fit in 8 bits and pass in 12."""
    monkeypatch.setattr("casgan_dicom.conversion.plan.MAX_BYTES", 6 * 64 * 80)
    source = twelve_bits(tmp_path)

    (skipped,) = convert(source, tmp_path / "out", replace(PLAIN, bits=12)).skipped

    assert "one object holds" in skipped.reasons[0]
    assert convert(source, tmp_path / "eight", PLAIN).outputs
    assert convert(source, tmp_path / "part", replace(PLAIN, bits=12, frames=FrameChoice("2-4"))).outputs
    assert convert(
        source, tmp_path / "packed", replace(PLAIN, bits=12, compression=Compression("rle"))
    ).outputs


def test_a_full_disk_leaves_nothing_of_many_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third object cannot be flushed: none of the others may stay."""
    source = write_xa(tmp_path / "in" / "run", moving_frames(5, 64, 80))
    flushed = []

    def fsync(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("casgan_dicom.disk.os.fsync", fsync)

    with pytest.raises(OutputError, match="No space left"):
        convert(source, tmp_path / "out", replace(PLAIN, single_frames=True))

    assert list((tmp_path / "out").rglob("*")) == []
