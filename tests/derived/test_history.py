"""What the source does not say about its pixels never becomes a "no"."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.comparison import compare
from casgan_dicom.verification.verify import verify_file
from tests.support.derived import cine_of, derived
from tests.support.factories import moving_frames, write_xa_single_frames
from tests.support.honest import write_cine, write_frame, write_map
from tests.support.validators import dciodvfy


def saying(folder: Path, keyword: str, value: str | None) -> Cine:
    """A cine whose header says this, legal or not."""
    cine = cine_of(folder)
    if value is not None:
        cine.header[keyword] = DataElement(Tag(keyword), "CS", value, validation_mode=IGNORE)
    return cine


@pytest.mark.parametrize(
    ("source", "said"),
    [("NO", "NO"), ("NO ", "NO"), ("YES", "YES"), (None, "YES"), ("", "YES"), ("no", "YES"), ("N", "YES")],
)
def test_burned_in_identity_is_ruled_out_only_where_the_source_rules_it_out(
    tmp_path: Path, source: str | None, said: str
) -> None:
    ds = derived(saying(tmp_path, "BurnedInAnnotation", source))

    assert ds.BurnedInAnnotation == said
    open_question = "does not say whether identity is burned in" in ds.DerivationDescription
    assert open_question == (source not in ("NO", "NO ", "YES"))


@pytest.mark.parametrize(
    "write", [write_cine, write_frame, lambda cine, path: write_map(cine, path, "vessels")]
)
def test_every_kind_of_picture_says_yes_where_the_source_is_silent(tmp_path: Path, write: object) -> None:
    path = write(cine_of(tmp_path), tmp_path / "out")  # type: ignore[operator]

    ds = dcmread(path)
    assert ds.BurnedInAnnotation == "YES"
    assert "does not say whether identity is burned in" in ds.DerivationDescription
    assert dciodvfy(path) == []
    assert verify_file(path) == []


def test_one_silent_frame_leaves_a_run_unknown(tmp_path: Path) -> None:
    write_xa_single_frames(tmp_path, moving_frames(3), BurnedInAnnotation="NO")
    (cine,) = find_series([tmp_path]).cines
    del cine.headers[1]["BurnedInAnnotation"]

    assert derived(cine).BurnedInAnnotation == "YES"


@pytest.mark.parametrize(
    ("source", "said"),
    [("00", "00"), (None, "absent"), ("", "absent"), ("0", "absent"), ("NO", "absent")],
)
def test_loss_is_ruled_out_only_where_the_source_rules_it_out(
    tmp_path: Path, source: str | None, said: str
) -> None:
    ds = derived(saying(tmp_path, "LossyImageCompression", source))

    assert ds.get("LossyImageCompression", "absent") == said
    open_question = "whether compression ever lost information" in ds.DerivationDescription
    assert open_question == (said == "absent")


@pytest.mark.parametrize(
    ("source", "said"), [("YES", "YES"), ("NO", "NO"), (None, None), ("", None), ("no", None)]
)
def test_recognizable_features_are_said_as_the_source_says_them(
    tmp_path: Path, source: str | None, said: str | None
) -> None:
    assert derived(saying(tmp_path, "RecognizableVisualFeatures", source)).get(
        "RecognizableVisualFeatures"
    ) == (said)


@pytest.mark.parametrize(
    "claim",
    [{"BurnedInAnnotation": "NO"}, {"LossyImageCompression": "00"}, {"RecognizableVisualFeatures": "NO"}],
)
def test_a_no_that_the_source_does_not_say_is_found(tmp_path: Path, claim: dict[str, str]) -> None:
    cine = cine_of(tmp_path)
    ds: Dataset = derived(cine)
    sources = {cine.instances[0].sop_instance_uid: cine.header}
    assert compare(ds, sources) == []

    for keyword, value in claim.items():
        setattr(ds, keyword, value)

    (found,) = compare(ds, sources)
    assert found.rule == "source-history"
    assert next(iter(claim)) in found.message


def test_a_rate_that_is_assumed_is_told_to_be_unknown(tmp_path: Path) -> None:
    known = derived(cine_of(tmp_path / "a"))
    assumed = derived(cine_of(tmp_path / "b", FrameTime=None, FrameIncrementPointer=None))

    assert "at which rate the frames were taken" not in known.DerivationDescription
    assert "at which rate the frames were taken" in assumed.DerivationDescription
