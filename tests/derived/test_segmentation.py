"""The vessel mask as DICOM Segmentation, read back by programs that did not write it."""

from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from casgan_dicom.derived.marks import Derivation
from casgan_dicom.derived.references import Reference
from casgan_dicom.derived.segmentation import VesselSegmentation
from casgan_dicom.pixels.framefile import FrameFile, FrameWriter
from casgan_dicom.pixels.lossy import LossyHistory
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.verify import verify_file
from tests.support.derived import CREATED, MODEL, NOT_LOSSY, by_another, cine_of, derivation_of, derived
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.validators import dcentvfy, dciodvfy

Masks = npt.NDArray[np.bool_]
CINE_CLASS = "1.2.840.10008.5.1.4.1.1.7.2"
FRAME_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def random_masks(frames: int, rows: int, columns: int) -> Masks:
    """Masks that tell every frame, row and column from every other; the second frame is empty."""
    masks = np.random.default_rng(7).random((frames, rows, columns)) > 0.7
    masks[1:2] = False
    return masks


def frame_file(masks: Masks, vessel: int = 255) -> FrameFile:
    writer = FrameWriter(io.BytesIO(), *masks.shape[1:])
    for mask in masks:
        writer.write(np.where(mask, vessel, 0).astype(np.uint8))
    return writer.finish()


def as_cine(frames: int) -> list[Reference]:
    """The synthetic cine as one object."""
    return [Reference(CINE_CLASS, uid("synthetic cine"), uid("synthetic series"), frames)]


def segmentation(derivation: Derivation, masks: Masks, cine: list[Reference]) -> VesselSegmentation:
    return VesselSegmentation(derivation, frame_file(masks), cine, io.BytesIO())


def masks_for(cine: Cine) -> Masks:
    return random_masks(cine.frames, cine.rows, cine.columns)


def written(
    cine: Cine, path: Path, *, created: datetime = CREATED, lossy: LossyHistory = NOT_LOSSY
) -> Dataset:
    """The segmentation of all frames of a cine, read back from a file."""
    derivation = derivation_of(cine, created=created, lossy=lossy)
    dcmwrite(path, segmentation(derivation, masks_for(cine), as_cine(cine.frames)), enforce_file_format=True)
    return dcmread(path)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.4"),
        ("SyntheticData", "YES"),
        ("ImageType", ["DERIVED", "PRIMARY"]),
        ("Modality", "SEG"),
        ("ContentQualification", "RESEARCH"),
        ("SeriesDescription", "AI SYNTHETIC segmentation RAO30 - not for diagnosis"),
        ("SeriesNumber", 29003),
        ("Manufacturer", "casgan-dicom"),
        ("SegmentationType", "BINARY"),
        ("BitsAllocated", 1),
        ("BitsStored", 1),
        ("HighBit", 0),
        ("NumberOfFrames", 4),
        ("LossyImageCompression", "00"),
        ("StudyInstanceUID", uid("study")),
        ("PatientID", "TEST-1"),
        ("ContentTime", "233015.250000"),
    ],
)
def test_header_says(tmp_path: Path, keyword: str, value: object) -> None:
    assert written(cine_of(tmp_path), tmp_path / "out")[keyword].value == value


def test_validators_and_our_own_rules_find_nothing(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    synthetic = derived(cine)
    dcmwrite(tmp_path / "cine", synthetic, enforce_file_format=True)
    reference = Reference(CINE_CLASS, synthetic.SOPInstanceUID, synthetic.SeriesInstanceUID, cine.frames)
    made = segmentation(derivation_of(cine), masks_for(cine), [reference])
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    assert dciodvfy(tmp_path / "out") == []
    assert dcentvfy(cine.instances[0].path, tmp_path / "cine", tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


@pytest.mark.parametrize("size", [(4, 64, 80), (5, 3, 5), (1, 7, 7), (3, 1, 3)])
def test_pixels_are_the_masks_though_frames_do_not_end_at_a_byte(
    tmp_path: Path, size: tuple[int, int, int]
) -> None:
    cine = find_series([write_xa(tmp_path / "source", moving_frames(*size))]).cines[0]

    ds = written(cine, tmp_path / "out")

    pixels = ds.pixel_array.reshape(size)
    np.testing.assert_array_equal(pixels, masks_for(cine))
    assert len(ds.PixelData) == 2 * -(-size[0] * size[1] * size[2] // 16)
    assert [line for line in dciodvfy(tmp_path / "out") if line.startswith("Error")] == []


def test_highdicom_finds_the_mask_of_a_synthetic_frame_and_of_a_source_frame(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    written(cine, tmp_path / "out")

    seg = highdicom.seg.segread(tmp_path / "out")

    of_synthetic = seg.get_pixels_by_source_frame(uid("synthetic cine"), [1, 2, 3, 4])
    of_source = seg.get_pixels_by_source_frame(cine.instances[0].sop_instance_uid, [4, 1])
    np.testing.assert_array_equal(of_synthetic[..., 0], masks_for(cine))
    np.testing.assert_array_equal(of_source[..., 0], masks_for(cine)[[3, 0]])


def test_part_of_a_cine_refers_to_the_frames_it_was_made_of(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    masks = random_masks(2, cine.rows, cine.columns)
    made = segmentation(derivation_of(cine, chosen=(1, 3)), masks, as_cine(2))
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    seg = highdicom.seg.segread(tmp_path / "out")

    of_source = seg.get_pixels_by_source_frame(cine.instances[0].sop_instance_uid, [2, 4])
    np.testing.assert_array_equal(of_source[..., 0], masks)
    assert dciodvfy(tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_single_frames_are_referred_to_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    cine = find_series(write_xa_single_frames(tmp_path / "run", moving_frames(3))).cines[0]
    singles = [Reference(FRAME_CLASS, uid(f"synthetic {k}"), uid("synthetic series")) for k in range(3)]
    made = segmentation(derivation_of(cine), masks_for(cine), singles)
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    seg = highdicom.seg.segread(tmp_path / "out")

    for uids in ([one.sop_instance_uid for one in singles], [one.sop_instance_uid for one in cine.instances]):
        found = seg.get_pixels_by_source_instance(uids)
        np.testing.assert_array_equal(found[..., 0], masks_for(cine))
    assert dciodvfy(tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_segment_is_coded_and_names_the_network(tmp_path: Path) -> None:
    segment = written(cine_of(tmp_path), tmp_path / "out").SegmentSequence[0]

    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    family = algorithm.AlgorithmFamilyCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("41801008", "SCT")
    assert (family.CodeValue, family.CodingSchemeDesignator) == ("123110", "DCM")
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentAlgorithmName == algorithm.AlgorithmName == "casgan-desk vessel segmentor"
    assert MODEL.weights_sha256 in algorithm.AlgorithmParameters


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Ångström^Åsa"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_survive_in_their_character_set(tmp_path: Path, charset: str | list[str], name: str) -> None:
    cine = cine_of(tmp_path, SpecificCharacterSet=charset, PatientName=name)

    ds = written(cine, tmp_path / "out")

    assert str(ds.PatientName) == name
    assert verify_file(tmp_path / "out") == []


def test_spacing_is_left_out_and_the_object_stays_readable(tmp_path: Path) -> None:
    written(
        cine_of(tmp_path, PixelSpacing=[0.2, 0.2], PixelSpacingCalibrationType="GEOMETRY"), tmp_path / "out"
    )

    assert "PixelSpacing" not in str(highdicom.seg.segread(tmp_path / "out"))
    assert dciodvfy(tmp_path / "out") == []


def test_lossy_history_is_carried_on(tmp_path: Path) -> None:
    lossy = LossyHistory(lossy=True, ratios=(4.3124,), methods=("ISO_10918_1",))

    ds = written(cine_of(tmp_path), tmp_path / "out", lossy=lossy)

    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert dciodvfy(tmp_path / "out") == []


def test_same_input_gives_the_same_file(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    first, again = written(cine, tmp_path / "1"), written(cine, tmp_path / "2")

    later = written(cine, tmp_path / "3", created=datetime(2027, 1, 1, tzinfo=UTC))

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert later.SOPInstanceUID == first.SOPInstanceUID == again.SOPInstanceUID
    assert later.SegmentSequence == first.SegmentSequence
    assert later.DimensionIndexSequence == first.DimensionIndexSequence


def test_another_mask_is_another_instance_of_the_same_series(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    masks = masks_for(cine)

    made = [segmentation(derivation_of(cine), some, as_cine(4)) for some in (masks, ~masks)]

    assert made[0].SOPInstanceUID != made[1].SOPInstanceUID
    assert made[0].SeriesInstanceUID == made[1].SeriesInstanceUID != derived(cine).SeriesInstanceUID


def test_any_value_but_zero_is_a_vessel(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    masks = masks_for(cine)

    ones = VesselSegmentation(derivation_of(cine), frame_file(masks, 1), as_cine(4), io.BytesIO())

    assert ones.SOPInstanceUID == segmentation(derivation_of(cine), masks, as_cine(4)).SOPInstanceUID


@pytest.mark.parametrize(("masks", "synthetic"), [(3, 4), (4, 3)])
def test_frames_that_do_not_match_are_an_error(tmp_path: Path, masks: int, synthetic: int) -> None:
    cine = cine_of(tmp_path)

    with pytest.raises(ValueError, match=f"found {masks} masks, 4 converted, {synthetic} synthetic"):
        segmentation(derivation_of(cine), random_masks(masks, cine.rows, cine.columns), as_cine(synthetic))


def test_nothing_private_and_nothing_of_the_model_but_ascii(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    derivation = derivation_of(cine, provenance=by_another(name="größer", version="1 × 2"))

    made = segmentation(derivation, masks_for(cine), as_cine(4))

    assert str(made.SegmentSequence[0]).isascii()


def test_packing_needs_the_memory_of_a_frame_not_of_the_cine(tmp_path: Path) -> None:
    """64 times the frames, on a disk: what is held grows by their headers, not by their pixels."""
    peaks = []
    for frames in (2, 128):
        source = write_xa(tmp_path / f"source{frames}", np.zeros((frames, 256, 256), np.uint8))
        cine = find_series([source]).cines[0]
        with (tmp_path / f"masks{frames}").open("w+b") as file, (tmp_path / "spool").open("w+b") as spool:
            writer = FrameWriter(file, 256, 256)
            for _ in range(frames):
                writer.write(np.full((256, 256), 255, np.uint8))
            masks = writer.finish()
            derivation = derivation_of(cine)
            tracemalloc.start()
            VesselSegmentation(derivation, masks, as_cine(frames), spool)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    masks_in_memory = 128 * 256 * 256
    assert peaks[1] - peaks[0] < masks_in_memory / 2
