"""Codes that are not written as codes: read as what they mean, and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from casgan_dicom.conversion.inspection import inspect
from casgan_dicom.derived.history import burned_in
from casgan_dicom.pixels.lossy import lossy_history
from casgan_dicom.source.cine import Cine
from tests.support.cines import cine_of
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import with_texts, write_xa

SAID = "is written in small letters or with spaces around it"


def read(tmp_path: Path, keyword: str, text: str) -> Cine:
    return cine_of(with_texts(write_xa(tmp_path / "a"), **{keyword: text}))


@pytest.mark.parametrize("text", ["dynamic", " DYNAMIC", "Dynamic "])
def test_a_rotation_is_one_however_it_is_written(tmp_path: Path, text: str) -> None:
    cine = read(tmp_path, "PositionerMotion", text)

    assert cine.motion == ("rotation",)
    assert cine.notes[0].startswith(f"PositionerMotion (0018,1500) {SAID}")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_rescale_is_not_applied_to_logarithms_however_they_are_called(tmp_path: Path, syntax: object) -> None:
    path = write_xa(tmp_path / "a", syntax=syntax, RescaleSlope=-1, RescaleIntercept=255)

    (cine,) = inspect([with_texts(path, PixelIntensityRelationship=" log")]).cines

    assert "intensity LOG; rescale not applied" in cine.shown.display


@pytest.mark.parametrize(
    ("keyword", "text", "reason"),
    [("RecommendedViewingMode", "sub", "a DSA run"), ("SyntheticData", "yes", "is no source")],
)
def test_what_speaks_against_a_run_does_so_in_small_letters(
    tmp_path: Path, keyword: str, text: str, reason: str
) -> None:
    path = with_texts(write_xa(tmp_path / "a", ImageType=["DERIVED", "SECONDARY"]), **{keyword: text})

    (cine,) = inspect([path]).cines

    assert reason in cine.reasons[0].text


@pytest.mark.parametrize(
    ("keyword", "text"), [("PhotometricInterpretation", " Monochrome1"), ("Modality", "xa")]
)
def test_what_is_needed_is_known_in_small_letters(tmp_path: Path, keyword: str, text: str) -> None:
    (cine,) = inspect([with_texts(write_xa(tmp_path / "a"), **{keyword: text})]).cines

    assert cine.converted
    assert SAID in " ".join(cine.warnings)


@pytest.mark.parametrize(("text", "known"), [("no", "NO"), ("Yes", "YES"), ("NO\\NO", None), ("n", None)])
def test_burned_in_identity_is_known_by_its_code(tmp_path: Path, text: str, known: str | None) -> None:
    assert burned_in(read(tmp_path, "BurnedInAnnotation", text).headers) == known


def test_a_method_of_loss_is_named_by_its_term(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", LossyImageCompressionRatio=10)
    cine = cine_of(with_texts(path, LossyImageCompressionMethod="iso_10918_1"))

    assert lossy_history(cine).methods == ("ISO_10918_1",)


def test_codes_within_functional_groups_are_put_right(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "a")
    content, legal = path.read_bytes(), b"\x20\x00\x72\x90CS\x02\x00U "
    assert content.count(legal) == 1
    path.write_bytes(content.replace(legal, legal[:4] + b"CS\x02\x00u "))

    (cine,) = inspect([path]).cines

    assert f"FrameLaterality (0020,9072) {SAID}" in cine.warnings[0]


@pytest.mark.parametrize("text", ["Heart/Lung", "A_CODE_THAT_IS_TOO_LONG", "DYNAMIC"])
def test_what_is_right_or_no_code_at_all_stays_as_it_is(tmp_path: Path, text: str) -> None:
    cine = read(tmp_path, "BodyPartExamined", text)

    assert cine.header.BodyPartExamined == text
    assert SAID not in " ".join(cine.notes)
