"""Conditions on header values: what is read, what is refused, and when one holds."""

from __future__ import annotations

import fnmatch
import operator
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from casgan_dicom.node.rules.conditions import Truth, parse_condition

YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN


def header(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


XA = header(
    Modality="XA",
    ImageType=["ORIGINAL", "PRIMARY", "BIPLANE A"],
    PositionerPrimaryAngle="-30.0",
    PositionerSecondaryAngle="",
    StationName="LAB1 ",
    SeriesDescription="Left Fluoro, 15/s",
    SeriesDate="20260105",
    Rows=512,
    FrameTimeVector=[0, 66.7, 66.7],
)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("Modality = XA", YES),
        ("Modality = xa", YES),
        ("Modality=XA", YES),
        ("(0008,0060) = XA", YES),
        ("(0008, 0060) = RF", NO),
        ("Modality != XA", NO),
        ("Modality != RF", YES),
        ("Modality in RF, XA", YES),
        ("Modality in RF, CT", NO),
        ("ImageType = PRIMARY", YES),  # any value
        ("ImageType != PRIMARY", NO),  # none of the values
        ("ImageType ~ BIPLANE ?", YES),
        ("PositionerPrimaryAngle between -45 45", YES),
        ("PositionerPrimaryAngle between -45 and -40", NO),
        ("PositionerPrimaryAngle = -30", YES),  # numbers, not the text "-30.0"
        ("PositionerPrimaryAngle < -29.9", YES),
        ("PositionerPrimaryAngle >= -30", YES),
        ("PositionerPrimaryAngle > -30", NO),
        ("PositionerPrimaryAngle <= -30", YES),
        ("Rows in 512, 1024", YES),
        ("FrameTimeVector > 60", YES),
        ("StationName ~ LAB*", YES),
        ("StationName = LAB1", YES),
        ("StationName ~ [L]AB*", NO),  # brackets are brackets
        ("SeriesDescription contains fluoro", YES),
        ("SeriesDescription contains Left Fluoro, 15", YES),
        ("SeriesDescription contains cine", NO),
        ("SeriesDate >= 20260101", YES),
        ("SeriesDate ~ 2025*", NO),
        ("ContrastBolusAgent absent", YES),
        ("ContrastBolusAgent present", NO),
        ("PositionerSecondaryAngle absent", YES),  # there, and empty
        ("Modality present", YES),
    ],
)
def test_a_condition_holds_or_does_not(text: str, truth: Truth) -> None:
    assert parse_condition(text).holds(XA) is truth


@pytest.mark.parametrize(
    "text",
    [
        "ContrastBolusAgent = x",
        "ContrastBolusAgent != x",
        "ContrastBolusAgent in x, y",
        "ContrastBolusAgent ~ *",
        "ContrastBolusAgent contains x",
        "PositionerSecondaryAngle < 5",
        "PositionerSecondaryAngle != 5",
        "PositionerSecondaryAngle between -5 5",
    ],
)
def test_what_has_no_value_neither_fits_nor_fails_a_comparison(text: str) -> None:
    condition = parse_condition(text)

    assert condition.holds(XA) is UNKNOWN
    assert condition.found(XA) == "absent or empty"


def test_a_transfer_syntax_is_that_of_the_file() -> None:
    ds = header(Modality="XA")
    condition = parse_condition(f"TransferSyntaxUID = {ExplicitVRLittleEndian}")
    assert condition.holds(ds) is UNKNOWN

    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

    assert condition.holds(ds) is YES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Modality", "want an attribute and"),
        ("", "want an attribute and"),
        ("Modality is XA", "want an attribute and"),
        ("Modalty = XA", "did you mean 'Modality'?"),
        ("(0009,1001) = 5", "is not in the DICOM dictionary"),
        ("(0000,0100) = 5", "want one of text or of numbers"),
        ("PixelData present", "value representation O"),
        ("AnatomicRegionSequence present", "value representation SQ"),
        ("Modality =", "want a value"),
        ("Modality in XA,", "want a value"),
        ("Modality < XA", "'<' compares numbers"),
        ("Modality between A B", "'between' compares numbers"),
        ("Rows ~ 5*", "'~' compares texts"),
        ("Rows contains 5", "'contains' compares texts"),
        ("Rows = many", "found 'many', want a number"),
        ("Rows = nan", "found 'nan', want a number"),
        ("Rows between 1", "want two values"),
        ("Rows between 1 2 3", "want two values"),
        ("Rows between 5 1", "want the smaller first"),
        ("Modality present XA", "want nothing behind it"),
    ],
)
def test_what_means_nothing_is_refused_and_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_condition(text)


def test_what_was_found_is_said_unless_it_may_name_a_patient() -> None:
    ds = header(
        PatientID="Secret 1", Modality="RF", Rows=[3, 4], SOPInstanceUID="1.2.3", StudyDescription="Secret"
    )

    found = {
        text: parse_condition(text).found(ds)
        for text in (
            "PatientID = x",
            "Modality = XA",
            "Rows = 5",
            "SOPInstanceUID = 1",
            "StudyDescription ~ x",
        )
    }

    assert list(found.values()) == ["another value", "'RF'", "3, 4", "'1.2.3'", "another value"]


NUMBERS = st.floats(-1000, 1000).map(lambda x: round(x, 2))


@given(values=st.lists(NUMBERS, min_size=1, max_size=3), bound=NUMBERS)
@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "="])
def test_numbers_compare_as_python_compares_them(sign: str, values: list[float], bound: float) -> None:
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}[
        sign
    ]

    holds = parse_condition(f"FrameTimeVector {sign} {bound}").holds(header(FrameTimeVector=values))

    assert holds is (YES if any(compare(value, bound) for value in values) else NO)


@given(
    value=st.text("abAB*?[ ", min_size=1, max_size=8).filter(str.strip),
    pattern=st.text("abAB*?", min_size=1, max_size=5),
)
def test_patterns_match_as_the_standard_library_matches_them(value: str, pattern: str) -> None:
    holds = parse_condition(f"StationName ~ {pattern}").holds(header(StationName=value))

    assert holds is (YES if fnmatch.fnmatchcase(value.strip().lower(), pattern.lower()) else NO)


@given(text=st.text(max_size=40))
def test_a_condition_is_read_or_refused_and_nothing_else_happens(text: str) -> None:
    with suppress(ValueError):
        assert parse_condition(text).holds(XA) in Truth
