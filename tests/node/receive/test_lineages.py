"""Patient and study are part of what a series is: one Series Instance UID, used for two by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger
from tests.node.listening import Listening, data_set_of
from tests.node.wire import XA, Wire
from tests.support.factories import moving_frames, uid, write_xa

OTHERS: list[dict[str, object]] = [
    {"PatientID": "TEST-2"},
    {"PatientName": "Another^Patient"},
    {"PatientBirthDate": "19500505"},
    {"IssuerOfPatientID": "ELSEWHERE"},
    {"StudyInstanceUID": uid("another study")},
    {"PatientID": "", "PatientName": "Unknown^2"},
]


def _still(folder: Path, name: str, **header: object) -> bytes:
    path = write_xa(folder / f"{name}", moving_frames(1), SOPInstanceUID=uid(name), **header)
    return data_set_of(path)


def _send(running: Listening, **instances: bytes) -> None:
    with Wire.associated(running.port) as wire:
        for name, content in instances.items():
            assert wire.store(XA, uid(name), content).status == 0


def _close(running: Listening) -> None:
    ledger = Ledger(running.layout.ledger)
    jobs = JobList(ledger)
    for job in jobs.receiving(2e9):
        assert jobs.close(job.job, job.series, 2e9)
    ledger.close()


def _inputs(running: Listening) -> list[tuple[int, set[str]]]:
    """Revision, and the instances that each job converts, in the order of their first instances."""
    ledger = Ledger(running.layout.ledger)
    try:
        found = [JobList(ledger).inputs(row["job"]) for row in running.rows("jobs")]
    finally:
        ledger.close()
    return [(each.revision, {path.name.split("-")[0] for path in each.paths}) for each in found]


@pytest.mark.parametrize("other", OTHERS)
def test_two_patients_or_studies_under_one_series_uid_are_two_jobs_also_later(
    running: Listening, folder: Path, other: dict[str, object]
) -> None:
    _send(running, a=_still(folder, "a"), x=_still(folder, "x", **other), b=_still(folder, "b"))
    _close(running)
    _send(running, c=_still(folder, "c"), y=_still(folder, "y", **other))

    first, second = {uid("a"), uid("b")}, {uid("x")}
    assert _inputs(running) == [
        (1, first),
        (1, second),
        (1, first | {uid("c")}),
        (1, second | {uid("y")}),
    ]
    lineages = [row["lineage"] for row in running.rows("jobs")]
    assert lineages[0] == lineages[2] != lineages[1] == lineages[3]


@pytest.mark.parametrize("other", OTHERS[:4])
def test_known_instance_of_another_name_is_a_correction(
    running: Listening, folder: Path, other: dict[str, object]
) -> None:
    _send(running, a=_still(folder, "a"), b=_still(folder, "b"))
    _close(running)
    _send(running, a=_still(folder, "a", **other), b=_still(folder, "b", **other))
    _close(running)
    _send(running, c=_still(folder, "c", **other))

    both = {uid("a"), uid("b")}
    assert _inputs(running) == [(1, both), (2, both), (1, both | {uid("c")})]
    assert len({row["lineage"] for row in running.rows("jobs")}) == 1


def test_known_instance_of_another_study_is_none(running: Listening, folder: Path) -> None:
    _send(running, a=_still(folder, "a"))
    _close(running)
    _send(running, a=_still(folder, "a", StudyInstanceUID=uid("another study")))

    assert _inputs(running) == [(1, {uid("a")})] * 2
    assert len({row["lineage"] for row in running.rows("jobs")}) == 2


def test_padding_of_names_is_no_other_patient(running: Listening, folder: Path) -> None:
    _send(running, a=_still(folder, "a", PatientName="Test^Run^^^"))
    _send(running, b=_still(folder, "b", PatientName="Test^Run", PatientID="TEST-1 "))

    assert len(running.rows("jobs")) == 1


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("Müller^Jörg", ["ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 100"], "GB18030"]),
        ("Yamada^Tarou=山田^太郎", ["ISO_IR 192", ["", "ISO 2022 IR 87"], "GB18030"]),
        ("Люкceмбypг", ["ISO_IR 144", "ISO_IR 192"]),
    ],
)
def test_another_character_set_is_no_other_patient(
    running: Listening, folder: Path, name: str, sets: list[str | list[str]]
) -> None:
    for k, each in enumerate(sets):
        _send(running, **{f"i{k}": _still(folder, f"i{k}", SpecificCharacterSet=each, PatientName=name)})

    assert len(running.rows("jobs")) == 1


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "NONSENSE", ""])
def test_bytes_that_are_no_text_of_their_character_set_are_a_name_all_the_same(
    running: Listening, folder: Path, charset: str
) -> None:
    first, second = (
        _still(folder, name, SpecificCharacterSet="ISO_IR 192", PatientName="Müller")
        .replace(b"ISO_IR 192", charset.encode().ljust(10))
        .replace("Müller".encode(), found)
        for name, found in (("a", b"M\xff\xfeller"), ("b", b"M\xfe\xffller"))
    )

    _send(running, a=first, b=second)

    assert len(running.rows("jobs")) == 2
