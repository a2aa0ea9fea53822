"""Pictures for people: grids of frames as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from torch import Tensor


def save_grid(path: Path, columns: Sequence[Tensor], gap: int = 2) -> None:
    """Write a grid: one column per tensor (B, 1, H, W) in [-1, 1], one row per sample."""
    tiles = [
        [
            np.pad(sample, ((0, gap), (0, gap)), constant_values=1.0)
            for sample in column[:, 0].float().cpu().numpy()
        ]
        for column in columns
    ]
    grid = np.concatenate([np.concatenate(column, axis=0) for column in tiles], axis=1)
    Image.fromarray(np.rint((np.clip(grid, -1, 1) + 1) * 127.5).astype(np.uint8)).save(path)


def save_page(path: Path, columns: Mapping[str, Sequence[npt.NDArray[np.float32]]], gap: int = 4) -> None:
    """Write a page: one titled column per entry, one row per image; all (H, W) in [0, 1], equal sizes.

    The page says in its head that the pictures are simulated and synthetic.
    """
    rows = max(len(images) for images in columns.values())
    height, width = next(iter(columns.values()))[0].shape
    head = 30
    page = Image.new("L", (len(columns) * (width + gap), head + rows * (height + gap)), 255)
    draw = ImageDraw.Draw(page)
    draw.text((2, 2), "SIMULATED INPUT, SYNTHETIC OUTPUT - NOT FOR DIAGNOSIS", fill=0)
    for i, (title, images) in enumerate(columns.items()):
        draw.text((i * (width + gap) + 2, head - 14), title, fill=0)
        for j, image in enumerate(images):
            pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
            page.paste(Image.fromarray(pixels), (i * (width + gap), head + j * (height + gap)))
    page.save(path)
