"""docs/input.md beside what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.source.eligible import (
    MAX_BYTES,
    MAX_SIDE,
    MIN_SIDE,
    SECONDARY_CAPTURES,
    SOP_CLASSES,
    reasons_against,
)
from casgan_dicom.source.series import find_series
from tests.support.factories import write_xa

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "input.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| (1\.2\.[\d.]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_the_page_lists_the_sop_classes_that_are_read_and_those_that_want_to_be_asked() -> None:
    classes = {UID(uid): told for _, uid, told in ROWS if not UID(uid).is_transfer_syntax}

    assert {uid for uid, told in classes.items() if told == "yes"} == set(SOP_CLASSES)
    assert {uid for uid, told in classes.items() if "--force" in told} == set(SECONDARY_CAPTURES)
    assert len(classes) == len(SOP_CLASSES) + len(SECONDARY_CAPTURES)


def test_the_page_names_the_decoder_of_each_transfer_syntax() -> None:
    told = {UID(uid): decoder for _, uid, decoder in ROWS if UID(uid).is_transfer_syntax}

    assert set(told) == set(SYNTAXES)
    for uid, decoder in told.items():
        first, named = (text.split()[0].rstrip(",") for text in (decoder, SYNTAXES[uid].decoder.name))
        assert first == named, uid


@pytest.mark.parametrize("bound", [MIN_SIDE, MAX_SIDE, MAX_BYTES])
def test_the_page_names_the_bounds(bound: int) -> None:
    assert re.search(rf"\b{bound}\b", PAGE)


@pytest.mark.parametrize(
    ("row", "odd"),
    [
        ("another SOP class", {"Modality": "CT"}),
        ("a UID that is missing or illegal", {"StudyInstanceUID": ""}),
        ("less than 1 ms between frames", {"FrameTime": 0.5}),
        ("more than 4096", {"Rows": 5000}),
        ("Bits Stored below 8", {"BitsStored": 7}),
        ("Contrast/Bolus Agent is declared", {"ContrastBolusAgent": "Iohexol"}),
        ("subtracted viewing recommended", {"RecommendedViewingMode": "SUB"}),
        ("a Secondary Capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}),
        ("a synthetic object", {"SyntheticData": "YES", "ImageType": ["DERIVED", "SECONDARY"]}),
    ],
)
def test_force_helps_where_the_page_says_so(tmp_path: Path, row: str, odd: dict[str, object]) -> None:
    (told,) = re.findall(rf"^\| [^|]*{re.escape(row)}[^|]* \| (yes|no) \|$", PAGE, re.MULTILINE)
    cine = find_series([write_xa(tmp_path / "run", None, **odd)]).cines[0]

    reasons = reasons_against(cine)

    assert reasons
    assert all(reason.forceable for reason in reasons) == (told == "yes")
