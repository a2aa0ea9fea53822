"""Acceptance by a viewer that hospitals use: OHIF opens what we derive, frame for frame, at its own rate.

A real Orthanc with its DICOMweb plug-in, a real browser, no part of them ours. None of it may reach beyond
this machine, and the browser is asked whether it tried.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser
from pydicom import dcmread, dcmwrite
from pydicom.pixels.utils import pixel_array
from scipy.ndimage import gaussian_filter

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.reference_choice import ReferenceChoice
from casgan_dicom.pixels.compress import Compression
from tests.support.factories import write_xa
from tests.support.orthanc import Orthanc, dicomweb
from tests.support.painter import DiscPainter
from tests.support.programs import find_program
from tests.support.roadmap import DarkIsVessel, write_reference, write_target
from tests.viewer.browser import Screen, chromium, likeness, looking_at
from tests.viewer.ohif import OhifServer, find_ohif

pytestmark = [pytest.mark.orthanc, pytest.mark.e2e]

SAMPLES = Path(__file__).resolve().parents[2] / "sample_series"
LIKE, UNLIKE = 0.95, 0.8
"""Correlation of a frame with itself on the screen, at least; of two different frames, at most."""

LOOKED_AT = [0, 5, 11]
"""Frames of twelve, from 0."""

DEFAULT: Mapping[str, Any] = {}
FORMS: list[Mapping[str, Any]] = [
    DEFAULT,
    {"single_frames": True},
    {"bits": 12},
    {"compression": Compression("rle")},
    {"bits": 12, "compression": Compression("jpegls")},
    {"bits": 12, "compression": Compression("j2k")},
    {"compression": Compression("jpeg", 90)},
]
"""Forms of the output that OHIF has to show, as settings of `ConvertOptions`."""


@dataclass(frozen=True)
class Derived:
    """One derived series as it was written."""

    paths: tuple[Path, ...]
    """Its objects, by Instance Number (0020,0013)."""
    study_uid: str
    """Study Instance UID (0020,000D)."""
    series_uid: str
    """Series Instance UID (0020,000E)."""
    frames: npt.NDArray[np.generic]
    """Stored values, (frames, rows, columns), as pydicom decodes them."""

    @classmethod
    def inside(cls, folder: Path) -> Derived:
        """The one series below a folder."""
        paths = sorted(folder.rglob("*.dcm"), key=lambda path: int(dcmread(path).InstanceNumber))
        header = dcmread(paths[0], stop_before_pixels=True)
        run = np.concatenate([pixel_array(path).reshape(-1, header.Rows, header.Columns) for path in paths])
        return cls(tuple(paths), header.StudyInstanceUID, header.SeriesInstanceUID, run)


View = Callable[[Derived], AbstractContextManager[Screen]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    with Orthanc.stock(folder, sync=False, extra=dicomweb()) as running:
        yield running


@pytest.fixture(scope="module")
def served(archive: Orthanc) -> Iterator[OhifServer]:
    with OhifServer(find_ohif(), archive.http_port) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def view(archive: Orthanc, served: OhifServer, browser: Browser) -> View:
    """Put a series into the emptied archive and open it in the viewer, which may ask nothing of the world."""
    archive.delete_all()

    @contextmanager
    def open_series(derived: Derived) -> Iterator[Screen]:
        for path in derived.paths:
            archive.add(path)
        with looking_at(browser, served.study(derived.study_uid, derived.series_uid)) as screen:
            yield screen
            assert screen.hosts <= {"127.0.0.1", ""}

    return open_series


def clouds(frames: int, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """A run of which no frame is like another, (frames, rows, columns) uint8, mean 128."""
    noise = np.random.default_rng(20).standard_normal((frames, rows, columns))
    soft = gaussian_filter(noise, (0, 5, 5))
    run: npt.NDArray[np.uint8] = np.clip(128 + 50 * soft / soft.std(), 0, 255).astype(np.uint8)
    return run


def derive(
    folder: Path, frames: npt.NDArray[np.uint8], *, rate: float = 15, form: Mapping[str, Any] = DEFAULT
) -> Derived:
    """Put a run of this many frames a second through the pipeline."""
    bits = form.get("bits", 8)  # one of 8 bits is always written in 8
    run = frames if bits == 8 else frames.astype(np.uint16) << (bits - 8)
    source = write_xa(folder / "in" / "a", run, FrameTime=1000 / rate, BitsStored=bits)
    report = convert_series([source], DiscPainter().as_generator, ConvertOptions(**form), folder / "out")
    assert report.exit_code == 0
    return Derived.inside(folder / "out")


def alikes(screen: Screen, derived: Derived) -> npt.NDArray[np.float64]:
    """How like every frame is what the screen shows now."""
    seen = screen.picture(*derived.frames.shape[1:])
    return np.array([likeness(seen, frame) for frame in derived.frames])


def look_for(screen: Screen, derived: Derived, frame: int, seconds: float = 20) -> npt.NDArray[np.float64]:
    """Go to a frame and look until it is seen, at most so long.

    Its number is there before its picture, and a series that is opened beside another begins anew after that.
    """
    screen.go_to(frame)
    deadline = monotonic() + seconds
    while (found := alikes(screen, derived))[frame] < LIKE and monotonic() < deadline:
        screen.go_to(frame)
    return found


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_is_shown_frame_for_frame(tmp_path: Path, view: View, form: Mapping[str, Any]) -> None:
    derived = derive(tmp_path, clouds(12, 96, 128), form=form)

    with view(derived) as screen:
        assert screen.count() == 12
        assert "AI SYNTHETIC" in screen.text()
        found = np.stack([look_for(screen, derived, k) for k in LOOKED_AT])

    own = np.zeros(found.shape, dtype=bool)
    own[range(len(LOOKED_AT)), LOOKED_AT] = True
    assert found[own].min() >= LIKE
    assert found[~own].max() <= UNLIKE


@pytest.mark.parametrize("rate", [7.5, 30])
def test_it_plays_at_the_rate_of_the_source(tmp_path: Path, view: View, rate: float) -> None:
    """By the clock of the page. The viewer knows whole frames per second only: 7.5 becomes 8.

    A look every 10 ms at what is drawn every 16 ms is off by 0.026 s at most, of two seconds.
    """
    derived = derive(tmp_path, clouds(16, 96, 128), rate=rate)

    with view(derived) as screen:
        shown = screen.play()
        measured = rate_of(screen.changes(2))

    assert abs(shown - rate) <= 0.5  # where nothing tells the rate it is 24
    assert measured == pytest.approx(shown, rel=0.03)


def rate_of(changes: Sequence[float]) -> float:
    """Frames per second, of the times at which one followed another."""
    return (len(changes) - 1) / (changes[-1] - changes[0]) if len(changes) > 1 else 0.0


def test_the_sample_series_is_shown_as_the_command_converted_it(
    tmp_path: Path, view: View, archive: Orthanc
) -> None:
    """With the weights that users get, and the source in the same study. Its frames are much alike."""
    source = SAMPLES / "multi-frame"
    program = find_program("casgan-dicom", "this package")
    command = [program, "convert", str(source), "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    derived = Derived.inside(tmp_path)
    for path in source.rglob("*.dcm"):
        archive.add(path)

    with view(derived) as screen:
        found = {k: look_for(screen, derived, k) for k in (0, 9, 20, 31)}
        screen.play()
        measured = rate_of(screen.changes(2))

    assert all(alike[k] >= LIKE and alike.argmax() == k for k, alike in found.items())
    assert measured == pytest.approx(15, rel=0.03)


def test_from_a_roadmap_both_of_its_sources_can_be_opened(
    tmp_path: Path, view: View, archive: Orthanc
) -> None:
    """The run itself and the one that lent its vessels: referenced by the object, and listed beside it."""
    sources = {
        number: write(tmp_path / name / "a")
        for number, name, write in ((3, "target", write_target), (2, "reference", write_reference))
    }
    options = ConvertOptions(reference=ReferenceChoice((sources[2],)))
    report = convert_series([sources[3]], DarkIsVessel().as_generator, options, tmp_path / "out")
    assert report.exit_code == 0
    derived = Derived.inside(tmp_path / "out")
    referenced = dcmread(derived.paths[0], stop_before_pixels=True).SourceImageSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} == {
        dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in sources.values()
    }

    for path in sources.values():
        archive.add(path)

    with view(derived) as screen:
        assert "own vessels 10:42" in screen.text()
        seen = {9: look_for(screen, derived, 9)[9]}
        for number, path in sources.items():
            source = replace(derived, frames=pixel_array(path))
            screen.open_beside(number)
            seen[number] = look_for(screen, source, 11)[11]
            assert screen.count() == len(source.frames)

    assert min(seen.values()) >= LIKE, seen


def test_a_header_that_blacks_the_viewer_out_is_noticed(tmp_path: Path, view: View) -> None:
    """VOI LUT Function (0028,1056) LINEAR is legal and says nothing new; OHIF 3.13.2 then draws nothing."""
    derived = derive(tmp_path, clouds(3, 96, 128))
    (path,) = derived.paths
    ds = dcmread(path)
    ds.VOILUTFunction = "LINEAR"
    dcmwrite(path, ds)

    with view(derived) as screen:
        found = look_for(screen, derived, 1, seconds=5)

    assert found.max() < UNLIKE
