"""Small files that went wrong once, through every command as a user types it; skips without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from casgan_dicom.cli import cli
from casgan_dicom.model.generator import Generator
from tests.support.painter import DiscPainter
from tests.support.validators import dciodvfy, of_our_making

SAID = {
    "01-jpegls-overshoot": "lie beyond BitsStored (0028,0101), which is 10",
    "02-explicit-said-implicit": "the data set is in 'Explicit VR Little Endian': read as it is",
    "03-padded-odd-frames": "read as 1 of padding behind each frame",
    "04-pixel-aspect-ratio": "pixels are not square (6\\5 by PixelAspectRatio (0028,0034))",
    "05-burned-in-absent": "",
    "06-one-uid-four-pictures": "is that of 4 different instances, need one",
    "08-baseline-as-lossless": "which has lost information",
    "09-frame-time-comma": "FrameTime (0018,1063) has a decimal comma",
    "09-window-second-value-zero": "WindowWidth (0028,1051) has a decimal comma",
    "10-offset-per-fragment": "the Basic Offset Table of PixelData (7FE0,0010)",
    "11-no-sequence-delimiter": "ends without its sequence delimiter",
    "12-voi-lut-depth": "read as 12 bits",
    "13-rotation": "a rotation, for which no one view stands",
    "14-acr-nema-dates": "StudyDate (0008,0020) is no legal DA",
    "15-over-midnight": "passes midnight",
    "18-shutter-swapped": "RECTANGULAR is ignored",
}
"""What `convert` says of each folder."""
REFUSED = ("06-one-uid-four-pictures",)
SHOWN: dict[str, dict[str, object]] = {
    "04-pixel-aspect-ratio": {"PixelAspectRatio": [6, 5]},
    "05-burned-in-absent": {"BurnedInAnnotation": "YES"},
    "08-baseline-as-lossless": {
        "LossyImageCompression": "01",
        "LossyImageCompressionMethod": "ISO_10918_1",
    },
    "09-frame-time-comma": {"FrameTime": 66.667},
    "13-rotation": {"SeriesDescription": "AI SYNTHETIC angiogram rotation - not for diagnosis"},
    "14-acr-nema-dates": {"StudyDate": "20240102", "StudyTime": "101500"},
    "15-over-midnight": {"NumberOfFrames": 6},
}
"""What stands in the derived object."""


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disc painter stand in for the shipped bundle."""
    monkeypatch.setattr(Generator, "load", lambda *_args, **_options: DiscPainter().as_generator())


def test_every_folder_has_its_row(cases: Path) -> None:
    assert sorted(path.name for path in cases.iterdir() if path.is_dir()) == sorted(SAID)


@pytest.mark.usefixtures("_painted")
@pytest.mark.parametrize("name", SAID)
def test_a_folder_goes_through_every_command(cases: Path, tmp_path: Path, name: str) -> None:
    source, out = cases / name, tmp_path / "out"
    code = 3 if name in REFUSED else 0

    inspected = run("inspect", source)
    planned = run("convert", source, "--dry-run", "-o", out)
    converted = run("convert", source, "-o", out)

    assert (inspected.exit_code, planned.exit_code, converted.exit_code) == (code, code, code)
    assert SAID[name] in " ".join(converted.stderr.split())
    if name in REFUSED:
        assert list(out.rglob("*.dcm")) == []
        return
    assert run("verify", out, "--source", source).exit_code == 0
    (path,) = out.rglob("*.dcm")
    ds = dcmread(path)
    assert {word: ds.get(word) for word in SHOWN.get(name, {})} == SHOWN.get(name, {})
    assert of_our_making(dciodvfy(path)) == []
