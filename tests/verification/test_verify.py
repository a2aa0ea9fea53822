"""Files judged as a whole: what general validators pass over, what the source says, what cannot be read."""

from __future__ import annotations

import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from casgan_dicom.errors import SeriesError
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.comparison import compare, source_headers
from casgan_dicom.verification.verify import verify, verify_dataset, verify_file
from tests.support.derived import cine_of
from tests.support.factories import moving_frames, uid, write_xa, write_xa_single_frames
from tests.support.honest import (
    Fault,
    in_item,
    put,
    report_like,
    rewrite,
    segmentation_like,
    write_cine,
    write_frame,
    write_map,
)
from tests.support.validators import dciodvfy

UNSEEN: dict[str, Fault] = {
    "synthetic-data": put(SyntheticData=None),
    "derivation-description": put(DerivationDescription=None),
    "image-type": put(ImageType=["ORIGINAL", "PRIMARY"]),
    "conversion-type": put(ConversionType="DI"),
    "pixel-spacing": put(PixelSpacing=[0.3, 0.3]),
    "source-purpose": in_item("SourceImageSequence", 0, PurposeOfReferenceCodeSequence=None),
    "presentation": put(VOILUTFunction="LINEAR"),
}
"""Faults that general validators pass over, by the rule that finds them: why these rules exist."""


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    return write_cine(cine_of(tmp_path), tmp_path / "honest.dcm")


@pytest.mark.parametrize("rule", UNSEEN)
def test_rules_find_what_a_general_validator_passes_over(honest: Path, rule: str) -> None:
    rewrite(honest, UNSEEN[rule])

    assert [line for line in dciodvfy(honest) if line.startswith("Error")] == []
    assert [finding.rule for finding in verify_file(honest)] == [rule]


@pytest.mark.parametrize(
    "fault",
    [
        put(LossyImageCompression="00", LossyImageCompressionRatio=None, LossyImageCompressionMethod=None),
        put(LossyImageCompressionRatio=None),
    ],
    ids=["declared lossless", "without ratio"],
)
def test_loss_that_is_not_declared_is_found_where_a_general_validator_is_silent(
    tmp_path: Path, fault: Fault
) -> None:
    path = write_cine(cine_of(tmp_path), tmp_path / "cine.dcm", compression=Compression("jpeg", 90))
    assert verify_file(path) == []

    rewrite(path, fault)

    assert [line for line in dciodvfy(path) if line.startswith("Error")] == []
    assert {finding.rule for finding in verify_file(path)} == {"lossy-chain"}


def test_pixels_without_the_banner_they_claim_are_found_where_a_general_validator_is_silent(
    honest: Path,
) -> None:
    rewrite(honest, lambda ds: setattr(ds, "PixelData", bytes(len(ds.PixelData))))

    assert dciodvfy(honest) == []
    assert [finding.rule for finding in verify_file(honest)] == ["banner-pixels"]


def test_all_faults_of_one_object_are_found_at_once(honest: Path) -> None:
    ds = dcmread(honest)
    put(SyntheticData=None, ConversionType="DI", KVP=80, BitsStored=7)(ds)

    rules = {finding.rule for finding in verify_dataset(ds)}
    assert {"synthetic-data", "conversion-type", "not-copied", "pixel-format"} <= rules


def test_file_cut_short_is_found_although_its_header_is_whole(honest: Path) -> None:
    content = honest.read_bytes()
    honest.write_bytes(content[:-100])

    assert [finding.rule for finding in verify_file(honest)] == ["pixel-length"]


@pytest.mark.parametrize("compression", [Compression(), Compression("jpegls"), Compression("rle")])
def test_pixels_are_left_in_the_file(tmp_path: Path, compression: Compression) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 256, 256), dtype=np.uint8)
    cine = find_series([write_xa(tmp_path / "long", noise)]).cines[0]
    path = write_cine(cine, tmp_path / "out", compression=compression)

    tracemalloc.start()
    findings = verify_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert findings == []
    assert peak < path.stat().st_size / 4


def test_acquisition_is_not_mistaken_for_a_derived_object(tmp_path: Path) -> None:
    findings = {finding.rule for finding in verify_file(write_xa(tmp_path / "xa"))}

    assert {"sop-class", "synthetic-data", "image-type", "source-image"} <= findings


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\0" * 128 + b"DICM" + b"\xff" * 64])
def test_rubbish_is_a_finding_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rubbish").write_bytes(content)

    findings = verify_file(tmp_path / "rubbish")

    assert findings


@pytest.mark.parametrize(
    ("value", "broken", "rules"),
    [
        (b"4 ", b"x ", {"cine-timing", "pixel-length", "banner-pixels"}),
        (b"66.667", b"secret", {"cine-timing"}),
    ],
)
def test_a_malformed_value_hides_no_other_finding(
    honest: Path, value: bytes, broken: bytes, rules: set[str]
) -> None:
    keyword = Tag("NumberOfFrames") if broken == b"x " else Tag("FrameTime")
    head = struct.pack("<HH", keyword.group, keyword.element)
    rewrite(honest, put(SyntheticData=None))
    content = honest.read_bytes()
    at = content.index(value, content.index(head))
    honest.write_bytes(content[:at] + broken + content[at + len(value) :])

    findings = verify_file(honest)

    assert {finding.rule for finding in findings} == {"synthetic-data", "legal-values", *rules}
    assert "secret" not in " ".join(map(str, findings))


FULL: dict[str, Any] = {
    "PatientName": "Made^Up",
    "IssuerOfPatientID": "HOSPITAL A",
    "PatientBirthDate": "19500101",
    "PatientSex": "O",
    "StudyDescription": "Left heart",
    "AccessionNumber": "ACC1",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source whose patient and study are described in full, in the folder of its own."""
    return write_xa(tmp_path / "source" / "xa", **FULL)


def derive(source: Path, path: Path) -> Path:
    return write_cine(find_series([source]).cines[0], path)


def rules_broken(path: Path, source: Path) -> set[str]:
    return {finding.rule for finding in verify_file(path, source_headers([source]))}


def test_an_object_agrees_with_its_source(source: Path, tmp_path: Path) -> None:
    cine = find_series([source]).cines[0]
    paths = [
        write_cine(cine, tmp_path / "cine"),
        write_frame(cine, tmp_path / "frame"),
        write_map(cine, tmp_path / "map", "vessels"),
    ]
    ds = dcmread(paths[0])
    sources = source_headers([source.parent])

    assert [verify_file(path, sources) for path in paths] == [[], [], []]
    assert compare(segmentation_like(ds), sources) == []
    assert compare(report_like(ds), sources) == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("IssuerOfPatientID", None),
        ("IssuerOfPatientID", "HOSPITAL B"),
        ("PatientID", "TEST-2"),
        ("PatientName", "Other^One"),
        ("PatientBirthDate", ""),
        ("StudyInstanceUID", uid("another study")),
        ("StudyDescription", None),
    ],
)
def test_another_patient_or_study_is_found_by_comparison_only(
    source: Path, tmp_path: Path, keyword: str, value: object
) -> None:
    path = rewrite(derive(source, tmp_path / "out"), put(**{keyword: value}))

    assert verify_file(path) == []
    assert dciodvfy(path) == []
    assert rules_broken(path, source) == {"source-identity"}


def test_a_name_may_change_its_character_set_but_not_its_letters(tmp_path: Path) -> None:
    source = write_xa(tmp_path / "xa", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    recoded = rewrite(derive(source, tmp_path / "a"), put(SpecificCharacterSet="ISO_IR 192"))
    garbled = derive(source, tmp_path / "b")
    garbled.write_bytes(garbled.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 144"))

    assert str(dcmread(recoded).PatientName) == "Müller^Jörg"
    assert rules_broken(recoded, source) == set()
    assert rules_broken(garbled, source) == {"source-identity"}


@pytest.mark.parametrize(
    "fault",
    [
        in_item("SourceImageSequence", 0, ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.12.2"),
        in_item("SourceImageSequence", 0, ReferencedFrameNumber=[1, 5]),
        in_item("ReferencedSeriesSequence", 0, SeriesInstanceUID=uid("another series")),
    ],
    ids=["class", "frame", "series"],
)
def test_a_reference_that_does_not_fit_the_source_is_found(
    source: Path, tmp_path: Path, fault: Fault
) -> None:
    path = rewrite(derive(source, tmp_path / "out"), fault)

    assert verify_file(path) == []
    assert rules_broken(path, source) == {"source-reference"}


def test_another_source_or_a_part_of_it_is_not_enough(source: Path, tmp_path: Path) -> None:
    runs = write_xa_single_frames(tmp_path / "run", moving_frames(5))
    path = write_cine(find_series([tmp_path / "run"]).cines[0], tmp_path / "out")

    assert rules_broken(path, tmp_path / "run") == set()
    assert rules_broken(path, runs[0]) == {"source-reference"}
    assert rules_broken(path, source) == {"source-reference"}


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"LossyImageCompression": "01"}, put(LossyImageCompression="00")),
        ({"BurnedInAnnotation": "YES"}, put(BurnedInAnnotation="NO")),
    ],
)
def test_what_sticks_to_the_pixels_has_to_be_said_again(
    tmp_path: Path, said: dict[str, Any], fault: Fault
) -> None:
    source = write_xa(tmp_path / "xa", **said)
    path = rewrite(derive(source, tmp_path / "out"), fault)

    assert rules_broken(path, source) == {"source-history"}


def test_findings_of_a_comparison_hold_no_patient_data(source: Path, tmp_path: Path) -> None:
    path = rewrite(
        derive(source, tmp_path / "out"),
        put(PatientName="Very^Secret", PatientID="SECRET-7", StudyDescription="secret"),
    )

    findings = verify_file(path, source_headers([source]))

    said = " ".join(map(str, findings)).lower()
    assert len(findings) == 3
    assert not [word for word in ("secret", "made", "heart", "test-1") if word in said]


def test_a_source_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")

    with pytest.raises(SeriesError, match="no DICOM files"):
        source_headers([tmp_path / "text"])


def test_comparison_of_rubbish_is_a_finding(source: Path, tmp_path: Path) -> None:
    ds = Dataset()

    assert [finding.rule for finding in compare(ds, source_headers([source]))] == ["source-reference"]


def test_folders_may_be_called_like_files_and_links_to_them_are_followed(
    honest: Path, tmp_path: Path
) -> None:
    top = tmp_path / "study.dcm"
    (top / "series.dcm").mkdir(parents=True)
    shutil.copy(honest, top / "series.dcm" / "one.dcm")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(honest, tmp_path / "elsewhere" / "two.dcm")
    (top / "link").symlink_to(tmp_path / "elsewhere")

    assert verify(top) == {top / "link" / "two.dcm": [], top / "series.dcm" / "one.dcm": []}
