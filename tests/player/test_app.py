"""What the player is served, over real HTTP, beside what pydicom and our own display make of the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless
from starlette.applications import Starlette
from starlette.routing import Mount

from casgan_dicom.player.app import player_routes
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit
from tests.player.exhibits import Here, exhibit_in, served
from tests.support.cines import shown
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames


def asked(exhibit: Exhibit, *paths: str) -> list[httpx.Response]:
    """Answers of a player mounted at /player."""
    exhibits = OpenExhibits()
    app = Starlette(routes=[Mount("/player", routes=player_routes(Here(exhibit), exhibits))])
    with served(app) as address, httpx.Client(base_url=f"{address}/player/", trust_env=False) as client:
        answers = [client.get(path) for path in paths]
    exhibits.close()
    return answers


def test_frames_are_the_stored_values_of_the_files(tmp_path: Path) -> None:
    exhibit = exhibit_in(tmp_path, moving_frames(12, bits=12), BitsStored=12)

    source, derived = asked(exhibit, "items/one/0/source/frames/3-5", "items/one/0/derived/frames/0-11")

    assert source.content == pixel_array(exhibit.sources[0])[3:6].astype("<u2").tobytes()
    assert derived.content == pixel_array(exhibit.derived[0]).astype("u1").tobytes()


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": 900, "WindowWidth": 700},
        {"WindowCenter": 900, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
        {"HighBit": 15},
    ],
    ids=str,
)
def test_values_looked_up_in_the_table_are_what_a_conversion_reads(
    tmp_path: Path, header: dict[str, object]
) -> None:
    path = write_xa(tmp_path / "a", moving_frames(3, bits=12), **({"BitsStored": 12} | header))

    frames, table = asked(Exhibit((path,), ()), "items/one/0/source/frames/0-2", "items/one/0/source/table/0")

    looked_up = np.frombuffer(table.content, "<f4")[np.frombuffer(frames.content, "<u2")]
    np.testing.assert_array_equal(looked_up.reshape(3, 64, 80), shown(path))


def test_the_facts_of_an_item_hold_no_patient_and_no_path(tmp_path: Path) -> None:
    header: dict[str, Any] = {"PatientName": "Quill^Ada", "PatientID": "P-77", "PatientBirthDate": "19500203"}
    exhibit = exhibit_in(tmp_path, form={"maps": True, "sr": True}, **header)

    (answer,) = asked(exhibit, "items/one")

    (run,) = answer.json()["runs"]
    assert run["view"] == "RAO30"
    assert run["times_ms"][:3] == [0, 66.667, 133.334]
    assert run["frames"] == 12
    assert run["synthetic"]["generator"] == "painter"
    assert set(run["tracks"]) == {"source", "derived", "attention", "vessels"}
    assert len(run["records"]) == 12
    assert run["missing"] == []
    for private in ("Quill", "Ada", "P-77", "19500203", str(tmp_path)):
        assert private not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("items/two", 404, "no item of that name"),
        ("items/one/9/source/frames/0-0", 404, "no such run or track"),
        ("items/one/0/mask/frames/0-0", 404, "no such run or track"),
        ("items/one/0/source/frames/11-12", 422, "the run has 12"),
        ("items/one/0/source/frames/5-4", 422, "the run has 12"),
        ("items/one/0/source/table/12", 422, "the run has 12"),
        ("items/one/0/source/visible/99", 422, "the run has 12"),
    ],
)
def test_what_is_not_there_is_said_in_words(tmp_path: Path, path: str, status: int, said: str) -> None:
    (answer,) = asked(Exhibit((write_xa(tmp_path / "a", moving_frames(12)),), ()), path)

    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize("path", ["static/player.js", "static/player.css", "static/film.js"])
def test_the_code_of_the_page_is_served(tmp_path: Path, path: str) -> None:
    (answer,) = asked(Exhibit((), ()), path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/")
    assert answer.headers["cache-control"] == "no-cache"  # a new version comes with new code


@pytest.mark.parametrize(
    "path", ["static/../app.py", "static/%2e%2e/app.py", "static/..%2fapp.py", "static/"]
)
def test_nothing_else_is_served_beside_it(tmp_path: Path, path: str) -> None:
    (answer,) = asked(Exhibit((), ()), path)

    assert answer.status_code == 404


def test_files_that_are_gone_are_counted_and_the_rest_is_played(tmp_path: Path) -> None:
    exhibit = exhibit_in(tmp_path)
    exhibit.sources[0].unlink()

    facts, frame, nothing = asked(
        exhibit, "items/one", "items/one/0/derived/frames/0-0", "items/one/0/source/frames/0-0"
    )

    (run,) = facts.json()["runs"]
    assert "1 of 1 source files are no longer there" in run["missing"]
    assert run["view"] == "RAO30"  # by the title of the derived cine
    assert frame.status_code == 200
    assert nothing.status_code == 404


def test_an_item_without_any_file_says_so(tmp_path: Path) -> None:
    (answer,) = asked(Exhibit((tmp_path / "a",), (tmp_path / "b",)), "items/one")

    assert answer.status_code == 422
    assert "1 of 1 source files are no longer there" in answer.json()["error"]


def test_a_run_that_cannot_be_shown_is_named_with_the_reason(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", np.zeros((2, 8, 9, 3), np.uint8))

    (answer,) = asked(Exhibit((path,), ()), "items/one")

    (run,) = answer.json()["runs"]
    assert run["tracks"] == {}
    assert any("SamplesPerPixel (0028,0002)" in sentence for sentence in run["missing"])


def test_a_mask_of_one_bit_stands_in_for_a_map_that_is_not_there(tmp_path: Path) -> None:
    """65 × 67 pixels: no frame but the first begins at a byte."""
    frames = moving_frames(5, 65, 67)
    exhibit = exhibit_in(tmp_path, frames, {"seg": True, "maps": True})
    mask = next(path for path in exhibit.derived if dcmread(path).Modality == "SEG")
    headers = {path: dcmread(path, stop_before_pixels=True) for path in exhibit.derived}
    (angiogram,) = (path for path, ds in headers.items() if "angiogram" in ds.SeriesDescription)

    facts, bits = asked(
        Exhibit(exhibit.sources, (angiogram, mask)), "items/one", "items/one/0/vessels/frames/0-4"
    )

    assert set(facts.json()["runs"][0]["tracks"]) == {"source", "derived", "vessels"}
    theirs = pixel_array(mask).astype(np.uint8)
    assert bits.content == theirs.tobytes()
    assert 0 < theirs.mean() < 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit, JPEG2000Lossless, ExplicitVRBigEndian])
def test_compressed_frames_come_decoded(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "a", moving_frames(5), syntax=syntax)

    (answer,) = asked(Exhibit((path,), ()), "items/one/0/source/frames/0-4")

    assert answer.content == pixel_array(path).astype("u1").tobytes()


def test_damaged_files_are_counted_by_their_reason(tmp_path: Path) -> None:
    whole = write_xa(tmp_path / "a", moving_frames(3))
    for name in "bc":
        (tmp_path / name).write_bytes(whole.read_bytes()[:600])

    (answer,) = asked(Exhibit((tmp_path,), ()), "items/one")

    (run,) = answer.json()["runs"]
    assert [text for text in run["missing"] if "2 files were passed over: damaged" in text] != []


def test_single_frames_of_a_source_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    frames = moving_frames(6)
    paths = write_xa_single_frames(tmp_path, frames)

    (answer,) = asked(Exhibit(tuple(reversed(paths)), ()), "items/one/0/source/frames/0-5")

    assert answer.content == frames.tobytes()
