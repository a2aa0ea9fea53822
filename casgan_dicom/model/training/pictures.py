"""Pictures for people: grids of frames as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from torch import Tensor

from casgan_dicom.disk import whole_file

WARNING = "SYNTHETIC OUTPUT, INVENTED BY NETWORKS - NOT FOR DIAGNOSIS"
"""Stands in the head of every page."""
PAGE_WIDTH = 420
"""Least width of a page in px: the warning fits."""


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
    pixels = np.rint((np.clip(grid, -1, 1) + 1) * 127.5).astype(np.uint8)
    with whole_file(path) as file:
        Image.fromarray(pixels).save(file, format="PNG")


def save_page(path: Path, rows: Mapping[str, Sequence[npt.NDArray[np.float32]]], gap: int = 4) -> None:
    """Write a page: one titled row per entry, one column per image; all (H, W) in [0, 1], equal sizes.

    The page says in its head that the pictures are simulated or synthetic.
    """
    columns = max(len(images) for images in rows.values())
    height, width = next(iter(rows.values()))[0].shape
    head, title_height = 16, 14
    step = title_height + height + gap
    page = Image.new("L", (max(columns * (width + gap), PAGE_WIDTH), head + len(rows) * step), 255)
    draw = ImageDraw.Draw(page)
    draw.text((2, 2), WARNING, fill=0)
    for i, (title, images) in enumerate(rows.items()):
        top = head + i * step
        draw.text((2, top), title, fill=0)
        for j, image in enumerate(images):
            pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
            page.paste(Image.fromarray(pixels), (j * (width + gap), top + title_height))
    with whole_file(path) as file:
        page.save(file, format="PNG")
