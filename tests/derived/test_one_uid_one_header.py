"""One SOP Instance UID, one object: what changes the header changes the UID, and nothing else does."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.output_folder import same_object
from casgan_dicom.conversion.pipeline import convert_series, now
from casgan_dicom.derived.picture import SyntheticCine
from casgan_dicom.derived.provenance import Provenance
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.pixels.stored import stored_pixels
from casgan_dicom.source.series import find_series
from tests.support.derived import CREATED, PROVENANCE, RAW, by_another, derivation_of, frames_for
from tests.support.factories import moving_frames, write_xa
from tests.support.painter import DiscPainter

ALL = ConvertOptions(maps=True, seg=True, sr=True)


def decompressed(path: Path, to: Path, **said: object) -> Path:
    """A copy of a run with its pixels as they are decoded, and the header changed like this."""
    (cine,) = find_series([path]).cines
    frames = np.stack(list(iter_frames(cine)))
    ds = dcmread(path)
    ds.PixelData = frames.astype(np.uint8).tobytes()
    ds["PixelData"].is_undefined_length = False
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    to.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(to, enforce_file_format=True)
    return to


def objects_of(source: Path, out: Path) -> dict[str, Path]:
    """Paths of the objects of one conversion, by kind."""
    report = convert_series([source], DiscPainter().as_generator, ALL, out, clock=now)
    return {placed.kind: placed.path for placed in report.outputs[0].objects}


def assert_same_but_for_who_decoded(one: dict[str, Path], other: dict[str, Path]) -> None:
    """Every object is the same, but for the quality record: that one names the decoders of its source."""
    assert (one.keys(), len(one)) == (other.keys(), 5)
    for kind, path in one.items():
        same = kind != "quality-record"
        assert (path.name == other[kind].name) is same, kind
        assert same_object(path, other[kind]) is same, kind


def test_a_lossy_source_and_its_decompressed_copy_are_two_objects(tmp_path: Path) -> None:
    """Both frames are the same, but only one of the sources tells how they were compressed."""
    jpeg = write_xa(tmp_path / "jpeg", moving_frames(), syntax=JPEGBaseline8Bit, LossyImageCompression="01")
    plain = decompressed(jpeg, tmp_path / "plain")

    one, other = objects_of(jpeg, tmp_path / "1"), objects_of(plain, tmp_path / "2")

    assert dcmread(one["angiogram"]).PixelData == dcmread(other["angiogram"]).PixelData
    for kind in one:
        assert one[kind].name != other[kind].name, kind
        assert not same_object(one[kind], other[kind])


def test_a_decompressed_copy_that_tells_all_is_the_same_object(tmp_path: Path) -> None:
    jpeg = write_xa(tmp_path / "jpeg", moving_frames(), syntax=JPEGBaseline8Bit, LossyImageCompression="01")
    (cine,) = find_series([jpeg]).cines
    known = lossy_history(cine)
    plain = decompressed(
        jpeg,
        tmp_path / "plain",
        LossyImageCompressionMethod=list(known.methods),
        LossyImageCompressionRatio=[f"{ratio:g}" for ratio in known.ratios],
    )

    one, other = objects_of(jpeg, tmp_path / "1"), objects_of(plain, tmp_path / "2")

    assert_same_but_for_who_decoded(one, other)


def test_a_lossless_copy_is_the_same_object(tmp_path: Path) -> None:
    rle = write_xa(tmp_path / "rle", moving_frames(), syntax=RLELossless)
    plain = write_xa(tmp_path / "plain", moving_frames())

    one, other = objects_of(rle, tmp_path / "1"), objects_of(plain, tmp_path / "2")

    assert_same_but_for_who_decoded(one, other)


def made(folder: Path, said: dict[str, Any], **options: Provenance | datetime) -> Dataset:
    """The derived cine of a header, its pixels always the same."""
    (cine,) = find_series([write_xa(folder / "source", **said)]).cines
    derivation = derivation_of(cine, **options)  # type: ignore[arg-type]
    return SyntheticCine(derivation, stored_pixels(frames_for(derivation), RAW, io.BytesIO()))


@pytest.mark.parametrize(
    "said",
    [
        {"FrameTime": 40},
        {"PatientName": "Corrected^Name"},
        {"StudyDescription": "Left heart"},
        {"AcquisitionTime": "101700"},
        {"BurnedInAnnotation": "NO"},
        {"LossyImageCompression": "00"},
        {"RecognizableVisualFeatures": "NO"},
        {"PixelAspectRatio": [6, 5]},
        {"PositionerPrimaryAngle": 30},
        {"SeriesNumber": 4},
        {"InstanceNumber": 2},
        {"SpecificCharacterSet": "ISO_IR 192"},
    ],
)
def test_what_changes_the_header_changes_the_uid(tmp_path: Path, said: dict[str, Any]) -> None:
    assert made(tmp_path / "a", {}).SOPInstanceUID != made(tmp_path / "b", said).SOPInstanceUID


@pytest.mark.parametrize("change", [{"name": "another"}, {"version": "2"}, {"engine": "openvino"}])
def test_another_name_of_the_same_weights_is_another_object(tmp_path: Path, change: dict[str, str]) -> None:
    other = made(tmp_path / "b", {}, provenance=by_another(**change))

    assert made(tmp_path / "a", {}).SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize(
    "said", [{"KVP": 80}, {"ImageComments": "seen"}, {"WindowCenterWidthExplanation": "x"}]
)
def test_what_is_not_carried_over_changes_nothing(tmp_path: Path, said: dict[str, Any]) -> None:
    assert made(tmp_path / "a", {}).SOPInstanceUID == made(tmp_path / "b", said).SOPInstanceUID


def test_when_and_on_what_it_was_made_changes_nothing(tmp_path: Path) -> None:
    later = made(
        tmp_path / "b",
        {},
        created=CREATED + timedelta(days=1),
        provenance=replace(PROVENANCE, model=replace(PROVENANCE.model, device="cuda:0")),
    )

    assert made(tmp_path / "a", {}).SOPInstanceUID == later.SOPInstanceUID
