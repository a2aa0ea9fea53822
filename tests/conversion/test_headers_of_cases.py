"""Headers of what becomes of the small files that went wrong, in every form; skips without them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.verification.verify import verify
from tests.support.painter import DiscPainter
from tests.support.validators import dciodvfy, of_our_making

FORMS = (
    ConvertOptions(maps=True, seg=True, sr=True),
    ConvertOptions(single_frames=True, seg=True),
    ConvertOptions(banner=False),
)
PICTURES = ("angiogram", "frame", "attention", "vessels")


def made_of(case: Path, out: Path) -> list[tuple[str, Dataset]]:
    """Kind and header of every object in every form; all of them honest and legal."""
    made: list[tuple[str, Dataset]] = []
    for k, options in enumerate(FORMS):
        report = convert_series(
            [case], DiscPainter().as_generator, options, out / str(k), clock=lambda: datetime.now(UTC)
        )
        for placed in (one for output in report.outputs for one in output.objects):
            assert of_our_making(dciodvfy(placed.path)) == []
            made.append((placed.kind, dcmread(placed.path)))
        assert not any(verify(out / str(k), sources=case).values())
    return made


def test_silence_about_burned_in_identity_is_no_denial(cases: Path, tmp_path: Path) -> None:
    made = made_of(cases / "05-burned-in-absent", tmp_path)

    assert {ds.BurnedInAnnotation for kind, ds in made if kind in PICTURES} == {"YES"}


def test_a_circle_stays_a_circle(cases: Path, tmp_path: Path) -> None:
    made = made_of(cases / "04-pixel-aspect-ratio", tmp_path)

    ratios = {tuple(ds.PixelAspectRatio) for kind, ds in made if kind != "quality-record"}
    assert ratios == {(6, 5)}


def test_dates_and_times_of_acr_nema_become_those_of_dicom(cases: Path, tmp_path: Path) -> None:
    for kind, ds in made_of(cases / "14-acr-nema-dates", tmp_path):
        assert (ds.StudyDate, ds.StudyTime, ds.PatientBirthDate) == ("20240102", "101500", "19500102")
        if kind in PICTURES:
            assert (ds.AcquisitionDate, ds.AcquisitionTime) == ("20240102", "101623")
