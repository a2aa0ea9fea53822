"""The contact sheet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.preview import COLUMNS, TILE, ContactSheet
from tests.support.factories import write_xa
from tests.support.painter import DiscPainter


def sheet_of(frames: int, size: tuple[int, int], *, attention: bool = True) -> Image.Image:
    """A sheet whose input is grey level 40 + index, output 140 + index, attention 0.5."""
    sheet = ContactSheet(tuple(range(1, frames + 1)))
    for k in range(frames):
        shown, output = (np.full(size, level + k % 50, dtype=np.uint8) for level in (40, 140))
        sheet.offer(k, shown, output, np.full(size, 0.5, dtype=np.float32) if attention else None)
    file = io.BytesIO()
    sheet.save(file)
    return Image.open(file)


def test_sheet_shows_first_and_last_frame_and_evenly_between() -> None:
    picks = ContactSheet(tuple(range(1, 97))).picks

    assert (picks[0], picks[-1], len(picks)) == (0, 95, COLUMNS)
    assert set(np.diff(picks)) == {19}
    assert ContactSheet((4, 5, 6)).picks == (0, 1, 2)
    assert ContactSheet((9,)).picks == (0,)


def test_input_stands_over_output_over_attention() -> None:
    paper = np.asarray(sheet_of(1, (64, 64)))
    column = paper[:, paper.shape[1] - 20]

    levels = [level for level in (40, 140, 128) if (column == level).sum() == 64]
    rows = [int(np.flatnonzero(column == level)[0]) for level in levels]
    assert levels == [40, 140, 128]
    assert rows == sorted(rows)


def test_method_without_attention_gets_two_rows() -> None:
    assert sheet_of(1, (64, 64), attention=False).height < sheet_of(1, (64, 64)).height


def test_tiles_are_shrunk_and_keep_their_shape() -> None:
    image = sheet_of(4, (512, 1024))

    assert image.width > 4 * TILE
    assert image.height < 3 * (TILE // 2) + 100


def test_picture_says_what_it_is_in_pixels_and_in_text() -> None:
    image = sheet_of(2, (256, 256))

    assert str(image.info["Description"]).startswith("AI SYNTHETIC")
    title = np.asarray(image)[:22]
    assert (title > 200).sum() > 500


def test_sheet_is_not_written_before_its_frames_were_seen() -> None:
    with pytest.raises(ValueError, match="never offered"):
        ContactSheet((1, 2)).save(io.BytesIO())


@pytest.mark.parametrize(
    ("pixel", "size"),
    [((1, 1), (100, 100)), ((6, 5), (120, 100)), ((1, 2), (100, 200)), ((2**31 - 1, 1), (TILE, 1))],
)
def test_a_circle_stays_a_circle(tmp_path: Path, pixel: tuple[int, int], size: tuple[int, int]) -> None:
    path = write_xa(tmp_path / "a", np.full((1, 100, 100), 90, np.uint8), PixelAspectRatio=list(pixel))

    report = convert_series(
        [path], DiscPainter().as_generator, ConvertOptions(preview=True), tmp_path / "out"
    )

    (sheet,) = (output.preview for output in report.outputs)
    assert sheet is not None
    paper = np.asarray(Image.open(sheet))
    rows, columns = np.nonzero(paper == 90)
    input_rows = rows[rows < 60 + size[0]]
    assert (int(np.ptp(input_rows)) + 1, int(np.ptp(columns)) + 1) == size
