"""What the player is served, over real HTTP, beside what pydicom and our own display make of the files."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom.pixels.utils import pixel_array
from starlette.applications import Starlette
from starlette.routing import Mount

from casgan_dicom.player.app import player_routes
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.shelf import Exhibit
from tests.player.exhibits import Here, exhibit_in, served
from tests.support.cines import shown
from tests.support.factories import moving_frames, write_xa


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
