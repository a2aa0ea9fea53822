"""A circle stays a circle: the shape of a pixel in every form, whichever element says it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from casgan_dicom.derived.geometry import aspect_ratio, notes_on_geometry
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.comparison import compare, source_headers
from casgan_dicom.verification.verify import verify_file
from tests.derived.test_segmentation import as_cine, masks_for, segmentation
from tests.support.cines import cine_of as only_cine_of
from tests.support.derived import cine_of, derivation_of, derived
from tests.support.enhanced_factory import write_enhanced
from tests.support.factories import with_texts, write_xa
from tests.support.honest import write_cine, write_frame, write_map
from tests.support.validators import dciodvfy

RATIOS: list[tuple[dict[str, Any], tuple[int, int] | None]] = [
    ({"PixelAspectRatio": [6, 5]}, (6, 5)),
    ({"PixelAspectRatio": [12, 10]}, (12, 10)),
    ({"PixelAspectRatio": [1, 1]}, None),
    ({"ImagerPixelSpacing": [0.3, 0.25]}, (6, 5)),
    ({"ImagerPixelSpacing": [0.25, 0.3]}, (5, 6)),
    ({"ImagerPixelSpacing": [0.184, 0.184]}, None),
    ({"ImagerPixelSpacing": [0.18400001, 0.184]}, None),
    ({"ImagerPixelSpacing": [0.3, 0.3], "PixelAspectRatio": [6, 5]}, None),
    ({"PixelSpacing": [0.4, 0.3]}, (4, 3)),
    ({"NominalScannedPixelSpacing": [0.2, 0.1]}, (2, 1)),
    ({"ImagerPixelSpacing": [0, 0], "PixelAspectRatio": [6, 5]}, (6, 5)),
    ({"PixelAspectRatio": [0, 5]}, None),
    ({"PixelAspectRatio": [-6, 5]}, None),
]


def write_segmentation(cine: Cine, path: Path) -> Path:
    made = segmentation(derivation_of(cine), masks_for(cine), as_cine(cine.frames))
    dcmwrite(path, made, enforce_file_format=True)
    return path


FORMS = {
    "cine": write_cine,
    "words": lambda cine, path: write_cine(cine, path, bits=12),
    "frame": write_frame,
    "map": lambda cine, path: write_map(cine, path, "attention"),
    "segmentation": write_segmentation,
}


@pytest.mark.parametrize(("said", "ratio"), RATIOS)
def test_shape_of_a_pixel_is_carried_over_where_no_spacing_is(
    tmp_path: Path, said: dict[str, Any], ratio: tuple[int, int] | None
) -> None:
    ds = derived(cine_of(tmp_path, **said))

    assert (tuple(ds.PixelAspectRatio) if "PixelAspectRatio" in ds else None) == ratio
    assert "PixelSpacing" not in ds
    assert "ImagerPixelSpacing" not in ds


@pytest.mark.parametrize(
    ("written", "ratio"),
    [
        ("1.2\\1", (6, 5)),
        ("0.5\\1", (1, 2)),
        ("1\\1,25", (4, 5)),
        ("1.00001\\1", None),
        ("9999999999\\9999999999", None),
    ],
)
def test_a_ratio_of_fractions_becomes_one_of_integers(
    tmp_path: Path, written: str, ratio: tuple[int, int] | None
) -> None:
    source = with_texts(write_xa(tmp_path / "a"), PixelAspectRatio=written)

    path = write_cine(only_cine_of(source), tmp_path / "out")

    ds = dcmread(path)
    assert (tuple(ds.PixelAspectRatio) if "PixelAspectRatio" in ds else None) == ratio
    assert verify_file(path) == []
    assert compare(ds, source_headers([source])) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("said", [{"PixelAspectRatio": [6, 5]}, {"ImagerPixelSpacing": [0.3, 0.25]}])
def test_every_form_has_it_and_stays_legal(tmp_path: Path, form: str, said: dict[str, Any]) -> None:
    cine = cine_of(tmp_path, **said)

    path = FORMS[form](cine, tmp_path / "out")

    assert list(dcmread(path).PixelAspectRatio) == [6, 5]
    assert dciodvfy(path) == []
    assert verify_file(path) == []


@pytest.mark.parametrize(("form", "there"), [("cine", False), ("segmentation", True)])
def test_calibrated_spacing_says_it_but_a_segmentation_has_none(
    tmp_path: Path, form: str, there: bool
) -> None:
    cine = cine_of(tmp_path, PixelSpacing=[0.3, 0.25], PixelSpacingCalibrationType="FIDUCIAL")

    path = FORMS[form](cine, tmp_path / "out")

    ds = dcmread(path)
    assert ("PixelAspectRatio" in ds, "PixelSpacing" in ds) == (there, not there)
    assert aspect_ratio(ds) == (6, 5)
    assert dciodvfy(path) == []
    assert verify_file(path) == []


def test_calibration_that_the_source_does_not_describe_is_described_as_that(tmp_path: Path) -> None:
    cine = cine_of(tmp_path, PixelSpacing=[0.2, 0.2], PixelSpacingCalibrationType="GEOMETRY")

    assert derived(cine).PixelSpacingCalibrationDescription == "not described by the source"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"PixelAspectRatio": [6, 5]}, "not square (6\\5 by PixelAspectRatio (0028,0034))"),
        ({"ImagerPixelSpacing": [0.3, 0.3], "PixelAspectRatio": [6, 5]}, "contradicts ImagerPixelSpacing"),
        ({"ImagerPixelSpacing": [0, 0.3]}, "ImagerPixelSpacing (0018,1164) is no pair of numbers above 0"),
        ({"PixelAspectRatio": [0, 5]}, "PixelAspectRatio (0028,0034) is no pair of numbers above 0"),
    ],
)
def test_what_is_odd_about_pixels_is_said(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    (note,) = notes_on_geometry(cine_of(tmp_path, **said).header)

    assert words in note


@pytest.mark.parametrize("said", [{"ImagerPixelSpacing": [0.3, 0.3]}, {"PixelAspectRatio": [1, 1]}, {}])
def test_square_pixels_are_nothing_to_talk_about(tmp_path: Path, said: dict[str, Any]) -> None:
    assert list(notes_on_geometry(cine_of(tmp_path, **said).header)) == []


def test_another_shape_than_that_of_the_source_is_found(tmp_path: Path) -> None:
    cine = cine_of(tmp_path, PixelAspectRatio=[6, 5])
    ds = derived(cine)
    sources = {cine.instances[0].sop_instance_uid: cine.header}
    assert compare(ds, sources) == []

    del ds.PixelAspectRatio

    assert [found.rule for found in compare(ds, sources)] == ["source-geometry"]


@pytest.mark.parametrize("value", ["6", "0\\5"])
def test_a_ratio_that_is_none_is_a_fault(tmp_path: Path, value: str) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "out")
    ds = dcmread(path)
    ds["PixelAspectRatio"] = DataElement(
        Tag("PixelAspectRatio"), "IS", value.split("\\"), validation_mode=IGNORE
    )
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())

    assert "pixel-spacing" in {found.rule for found in verify_file(path)}


def test_an_enhanced_source_says_it_in_its_functional_groups(tmp_path: Path) -> None:
    macros: Any = {
        "ProjectionPixelCalibrationSequence": None,
        "FramePixelDataPropertiesSequence": {"ImagerPixelSpacing": [0.3, 0.25]},
    }
    (cine,) = find_series([write_enhanced(tmp_path / "run", shared=macros)]).cines

    assert list(derived(cine).PixelAspectRatio) == [6, 5]
