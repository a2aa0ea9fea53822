"""Grids and pages of pictures, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from casgan_dicom.model.training.pictures import PAGE_WIDTH, save_grid, save_page


def test_a_grid_has_a_column_for_each_tensor(tmp_path: Path) -> None:
    columns = [torch.full((2, 1, 8, 8), value) for value in (-1.0, 0.0, 1.0)]
    save_grid(tmp_path / "grid.png", columns)
    with Image.open(tmp_path / "grid.png") as page:
        pixels = np.asarray(page)
    assert pixels.shape == (2 * 10, 3 * 10)
    assert [pixels[3, 3], pixels[13, 13], pixels[3, 23]] == [0, 128, 255]


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_has_a_titled_row_for_each_entry_under_a_warning(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    rows = {
        name: [rng.random((64, 200), dtype=np.float32) for _ in range(count)] for name in ("input", "cut")
    }

    save_page(tmp_path / "page.png", rows)

    with Image.open(tmp_path / "page.png") as page:
        pixels = np.asarray(page)
    assert pixels.shape == (16 + 2 * (14 + 64 + 4), max(count * 204, PAGE_WIDTH))
    assert (pixels[:16] < 255).any()  # the warning
    assert (pixels[:16, -6:] == 255).all()  # all of it
    for i, images in enumerate(rows.values()):
        top = 16 + i * 82
        assert (pixels[top : top + 14] < 255).any()  # the title
        for j, image in enumerate(images):
            shown = pixels[top + 14 : top + 78, j * 204 : j * 204 + 200]
            np.testing.assert_array_equal(shown, np.rint(image * 255))
