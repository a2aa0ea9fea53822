"""What the title of a derived series says of how the run moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from casgan_dicom.derived.marks import ANGIOGRAM, MAPS, QUALITY_REPORT, SEGMENTATION
from casgan_dicom.derived.provenance import series_description
from tests.support.derived import cine_of, derived


@pytest.mark.parametrize(
    ("motion", "title"),
    [
        ((), "AI SYNTHETIC angiogram RAO120 CAU35 - not for diagnosis"),
        (("rotation",), "AI SYNTHETIC angiogram rotation - not for diagnosis"),
        (("stepping",), "AI SYNTHETIC angiogram RAO120 CAU35 stepping - not for diagnosis"),
        (("rotation", "stepping"), "AI SYNTHETIC angiogram rotation stepping - not for diagnosis"),
    ],
)
def test_the_title_says_what_moves_during_the_run(motion: tuple[str, ...], title: str) -> None:
    ds = Dataset()
    ds.PositionerPrimaryAngle, ds.PositionerSecondaryAngle = -120, -35

    assert series_description(ds, motion=motion) == title
    for kind in (ANGIOGRAM, MAPS, SEGMENTATION, QUALITY_REPORT):
        text = series_description(ds, kind.title, motion=motion)
        assert len(text) <= 64
        assert text.startswith(f"AI SYNTHETIC {kind.title}")
        assert text.endswith("- not for diagnosis")
        assert all(word in text for word in motion[:1])


def test_a_derived_rotation_is_titled_so(tmp_path: Path) -> None:
    cine = cine_of(tmp_path, PositionerMotion="DYNAMIC", PositionerPrimaryAngleIncrement=[0, 66, 132, 200])

    assert derived(cine).SeriesDescription == "AI SYNTHETIC angiogram rotation - not for diagnosis"
