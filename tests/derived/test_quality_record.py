"""The quality record as Structured Report: what was measured comes back, read by highdicom."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.sr import MeasurementReport, MeasurementsAndQualitativeEvaluations
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from casgan_dicom.derived import quality_record
from casgan_dicom.derived.quality import FrameQuality
from casgan_dicom.derived.quality_record import (
    MEAN_ATTENTION,
    OPACIFIED,
    OPACIFIED_FRAMES,
    OPACIFIED_PROBABILITY,
    OUT_OF_RANGE,
    SOURCE_COVER,
    VESSEL_COVER,
    QualityRecord,
)
from casgan_dicom.derived.references import Reference
from casgan_dicom.errors import SeriesError
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.series import find_series
from casgan_dicom.uids import model_uid
from casgan_dicom.verification.verify import verify_file
from tests.support.derived import CREATED, MODEL, cine_of, derivation_of, derived
from tests.support.factories import moving_frames, uid, write_xa_single_frames
from tests.support.validators import dcentvfy, dciodvfy

CINE_CLASS = "1.2.840.10008.5.1.4.1.1.7.2"
FRAME_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def some_qualities(frames: int, *, attention: bool = True) -> list[FrameQuality]:
    """Numbers that no decimal of 16 characters holds exactly; frames 3 and on were opacified."""
    return [
        FrameQuality(k + 1, (k + 1) / 7 / frames if attention else None, 0.1 / (k + 3), k / 977, k >= 2)
        for k in range(frames)
    ]


def as_cine(frames: int) -> list[Reference]:
    return [Reference(CINE_CLASS, uid("synthetic cine"), uid("synthetic series"), frames)]


def report(cine: Cine, qualities: list[FrameQuality], *, created: datetime = CREATED) -> QualityRecord:
    return QualityRecord(derivation_of(cine, created=created), qualities, as_cine(cine.frames))


def written(cine: Cine, path: Path, *, created: datetime = CREATED) -> Dataset:
    """The report on all frames of a cine, read back from a file."""
    dcmwrite(path, report(cine, some_qualities(cine.frames), created=created), enforce_file_format=True)
    return dcmread(path)


def groups_in(path: Path) -> list[MeasurementsAndQualitativeEvaluations]:
    """Measurement groups as highdicom finds them: the summary, then one for each frame."""
    content = highdicom.sr.srread(path).content
    assert isinstance(content, MeasurementReport)
    return list(content.get_image_measurement_groups())


def values_of(group: MeasurementsAndQualitativeEvaluations) -> dict[str, float]:
    return {one.name.value: one.value for one in group.get_measurements()}


def every_item(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from every_item(item)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("SyntheticData", "YES"),
        ("Modality", "SR"),
        ("ContentQualification", "RESEARCH"),
        ("SeriesDescription", "AI SYNTHETIC quality record RAO30 - not for diagnosis"),
        ("SeriesNumber", 39003),
        ("Manufacturer", "casgan-dicom"),
        ("CompletionFlag", "COMPLETE"),
        ("VerificationFlag", "UNVERIFIED"),
        ("StudyInstanceUID", uid("study")),
        ("PatientID", "TEST-1"),
        ("ContentTime", "233015.250000"),
    ],
)
def test_header_says(tmp_path: Path, keyword: str, value: object) -> None:
    assert written(cine_of(tmp_path), tmp_path / "out")[keyword].value == value


def test_validators_find_nothing(tmp_path: Path) -> None:
    cine = cine_of(tmp_path, AccessionNumber="A1")
    synthetic = derived(cine)
    dcmwrite(tmp_path / "cine", synthetic, enforce_file_format=True)
    reference = Reference(CINE_CLASS, synthetic.SOPInstanceUID, synthetic.SeriesInstanceUID, cine.frames)
    made = QualityRecord(derivation_of(cine), some_qualities(4), [reference])
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    assert dciodvfy(tmp_path / "out") == []
    assert dcentvfy(cine.instances[0].path, tmp_path / "cine", tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    written(cine, tmp_path / "out")

    frames = groups_in(tmp_path / "out")[1:]

    found = []
    for number, group in enumerate(frames, 1):
        values = values_of(group)
        (opacified,) = group.get_qualitative_evaluations(OPACIFIED)
        found.append(
            FrameQuality(
                number,
                values[MEAN_ATTENTION.value],
                values[VESSEL_COVER.value],
                values[OUT_OF_RANGE.value],
                opacified.value == codes.SCT.Yes,
            )
        )
    assert found == some_qualities(4)
    assert [group.tracking_identifier for group in frames] == [f"Frame {k}" for k in range(1, 5)]


def test_summary_holds_mean_and_maximum_and_counts(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    written(cine, tmp_path / "out")

    summary = groups_in(tmp_path / "out")[0]

    qualities = some_qualities(4)
    for code, values in (
        (MEAN_ATTENTION, [quality.mean_attention for quality in qualities]),
        (VESSEL_COVER, [quality.vessel_cover for quality in qualities]),
        (OUT_OF_RANGE, [quality.out_of_range for quality in qualities]),
    ):
        found = {how.value: one.value for one in summary.get_measurements(code) if (how := one.derivation)}
        assert found[codes.SCT.Mean.value] == pytest.approx(np.mean(np.array(values, float)), rel=1e-12)
        assert found[codes.SCT.Maximum.value] == max(value for value in values if value is not None)
    assert values_of(summary)[OPACIFIED_FRAMES.value] == 2
    assert values_of(summary)[codes.DCM.NumberOfFrames.value] == 4


@pytest.mark.parametrize(
    ("probability", "answer"),
    [(None, codes.SCT.Yes), (0.95, codes.SCT.Yes), (0.6, codes.SCT.Uncertain), (0.11, codes.SCT.Uncertain)],
)
def test_doubt_about_contrast_is_neither_yes_nor_no(
    tmp_path: Path, probability: float | None, answer: Code
) -> None:
    quality = FrameQuality(1, None, 0.1, 0.0, True, opacified_probability=probability, source_cover=0.034)
    cine = cine_of(tmp_path)
    dcmwrite(tmp_path / "out", report(cine, [quality] * 4), enforce_file_format=True)

    group = groups_in(tmp_path / "out")[1]

    (opacified,) = group.get_qualitative_evaluations(OPACIFIED)
    assert opacified.value == answer
    assert values_of(group).get(OPACIFIED_PROBABILITY.value) == probability
    assert values_of(group)[SOURCE_COVER.value] == 0.034
    assert dciodvfy(tmp_path / "out") == []


def test_method_without_attention_says_nothing_of_it(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    made = report(cine, some_qualities(4, attention=False))
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    assert all(MEAN_ATTENTION.value not in values_of(group) for group in groups_in(tmp_path / "out"))


def test_each_frame_names_its_synthetic_and_its_source_picture(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    qualities = [some_qualities(4)[k] for k in (1, 3)]
    made = QualityRecord(derivation_of(cine, chosen=(1, 3)), qualities, as_cine(2))
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    found = [
        [(one.referenced_sop_instance_uid, one.referenced_frame_numbers) for one in group.source_images]
        for group in groups_in(tmp_path / "out")[1:]
    ]

    source = cine.instances[0].sop_instance_uid
    assert found == [
        [(uid("synthetic cine"), [1]), (source, [2])],
        [(uid("synthetic cine"), [2]), (source, [4])],
    ]


def test_single_frames_are_evidence_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    cine = find_series(write_xa_single_frames(tmp_path / "run", moving_frames(3))).cines[0]
    singles = [Reference(FRAME_CLASS, uid(f"synthetic {k}"), uid("synthetic series")) for k in range(3)]
    made = QualityRecord(derivation_of(cine), some_qualities(3), singles)
    dcmwrite(tmp_path / "out", made, enforce_file_format=True)

    evidence = highdicom.sr.srread(tmp_path / "out").get_evidence()

    assert {instance for _, _, instance, _ in evidence} == {
        *(one.sop_instance_uid for one in singles),
        *(one.sop_instance_uid for one in cine.instances),
    }
    assert {series for _, series, _, _ in evidence} == {uid("synthetic series"), cine.series_uid}
    assert dciodvfy(tmp_path / "out") == []
    assert verify_file(tmp_path / "out") == []


def test_observer_is_the_model_and_the_algorithm_is_named(tmp_path: Path) -> None:
    items = list(every_item(written(cine_of(tmp_path), tmp_path / "out")))

    devices = [str(item.UID) for item in items if item.ConceptNameCodeSequence[0].CodeValue == "121012"]
    texts = [str(item.TextValue) for item in items if item.ValueType == "TEXT"]
    assert devices == [model_uid(MODEL.weights_sha256, MODEL.recipe)]
    assert {"casgan-desk", "1.0", f"weights sha256 {MODEL.weights_sha256}"} <= set(texts)
    assert all(text.isascii() for text in texts)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Ångström^Åsa"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
)
def test_names_survive_in_their_character_set(tmp_path: Path, charset: str | list[str], name: str) -> None:
    ds = written(cine_of(tmp_path, SpecificCharacterSet=charset, PatientName=name), tmp_path / "out")

    assert str(ds.PatientName) == name
    assert verify_file(tmp_path / "out") == []


def test_source_without_optional_elements_is_enough(tmp_path: Path) -> None:
    bare = dict.fromkeys(
        ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
    )

    ds = written(cine_of(tmp_path, **bare), tmp_path / "out")

    assert str(ds.PatientName) == ""
    assert [line for line in dciodvfy(tmp_path / "out") if line.startswith("Error")] == []


def test_same_input_gives_the_same_file(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    first = written(cine, tmp_path / "1")
    written(cine, tmp_path / "2")

    later = written(cine, tmp_path / "3", created=datetime(2027, 1, 1, tzinfo=UTC))

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert later.SOPInstanceUID == first.SOPInstanceUID
    assert later.ContentSequence == first.ContentSequence


def test_another_number_is_another_report_of_the_same_series(tmp_path: Path) -> None:
    cine = cine_of(tmp_path)
    other = [*some_qualities(4)[:3], FrameQuality(4, 0.5, 0.5, 0.5, opacified=False)]

    made = [report(cine, qualities) for qualities in (some_qualities(4), other)]

    assert made[0].SOPInstanceUID != made[1].SOPInstanceUID
    assert made[0].SeriesInstanceUID == made[1].SeriesInstanceUID


def test_tracking_uids_are_all_different(tmp_path: Path) -> None:
    written(cine_of(tmp_path), tmp_path / "out")

    assert len({str(group.tracking_uid) for group in groups_in(tmp_path / "out")}) == 5


def test_frames_beyond_the_limit_are_in_the_summary_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality_record, "MAX_FRAMES", 3)

    ds = written(cine_of(tmp_path), tmp_path / "out")

    groups = groups_in(tmp_path / "out")
    assert (len(groups), ds.CompletionFlag) == (4, "PARTIAL")
    assert "after the first 3" in ds.CompletionFlagDescription
    assert values_of(groups[0])[codes.DCM.NumberOfFrames.value] == 4


def test_a_frame_needs_no_more_than_three_kilobytes(tmp_path: Path) -> None:
    """So a report on 1000 frames, the most that are listed, stays below 3 MB."""
    cine = cine_of(tmp_path)
    sizes = []
    for frames in (1, 4):
        stream = io.BytesIO()
        derivation = derivation_of(cine, chosen=tuple(range(frames)))
        made = QualityRecord(derivation, some_qualities(frames), as_cine(frames))
        dcmwrite(stream, made, enforce_file_format=True)
        sizes.append(len(stream.getvalue()))

    assert (sizes[1] - sizes[0]) / 3 < 3000


@pytest.mark.parametrize(("measured", "synthetic"), [(3, 4), (4, 3), (0, 4)])
def test_frames_that_do_not_match_are_an_error(tmp_path: Path, measured: int, synthetic: int) -> None:
    derivation = derivation_of(cine_of(tmp_path))

    with pytest.raises(ValueError, match=f"found {measured} measured, 4 converted, {synthetic} synthetic"):
        QualityRecord(derivation, some_qualities(measured), as_cine(synthetic))


def test_source_without_study_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"StudyInstanceUID \(0020,000D\) is absent"):
        report(cine_of(tmp_path, StudyInstanceUID=None), some_qualities(4))
