"""Pictures that hold nothing of a body: noise, ramps, test charts, text, scenes, scrambled frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from casgan_dicom.model.domain.canvas import Canvas, Picture, cloud, stretched

Rng = np.random.Generator
Draw = Callable[[Rng, int], Picture]
"""A picture of so many rows and columns, in [0, 1]."""


def white_noise(rng: Rng, size: int) -> Picture:
    """Every pixel for itself, of several distributions and grains."""
    grain = int(rng.choice([1, 1, 2, 4]))
    coarse = -(-size // grain)
    kind = rng.integers(3)
    if kind == 0:
        noise = rng.random((coarse, coarse))
    elif kind == 1:
        noise = 0.5 + rng.uniform(0.05, 0.3) * rng.normal(size=(coarse, coarse))
    else:
        noise = rng.poisson(rng.uniform(1, 30), (coarse, coarse)) / 40
    return np.clip(noise.repeat(grain, 0).repeat(grain, 1)[:size, :size], 0, 1)


def coloured_noise(rng: Rng, size: int) -> Picture:
    """Clouds, from sand to fog."""
    return stretched(cloud(rng, size, rng.uniform(0.5, 3.5)), 1, 99)


def ramp(rng: Rng, size: int) -> Picture:
    """Grey that rises evenly, along a line, from a point, or by steps; grain in a third of them."""
    column, row = Canvas(size).places
    turn = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.3:
        turn = np.pi / 2 * rng.integers(4)
    way = np.cos(turn) * column + np.sin(turn) * row
    if rng.random() < 0.3:
        way = np.hypot(column - rng.random(), row - rng.random())
    way = stretched(way, 0, 100) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.3:
        way = np.floor(way * (steps := rng.integers(4, 32))) / steps
    if rng.random() < 0.33:
        way = way + rng.uniform(0, 0.05) * rng.normal(size=way.shape)
    return np.asarray(np.clip(way, 0, 1))


def chart(rng: Rng, size: int) -> Picture:
    """Checkerboards, gratings, bars and grids."""
    column, row = Canvas(size).places
    turn, period = rng.choice([0, rng.uniform(0, np.pi)]), rng.uniform(0.02, 0.3)
    u, v = np.cos(turn) * column + np.sin(turn) * row, -np.sin(turn) * column + np.cos(turn) * row
    kind = rng.integers(4)
    if kind == 0:
        picture = (np.floor(u / period) + np.floor(v / period)) % 2
    elif kind == 1:
        picture = 0.5 + 0.5 * np.sin(2 * np.pi * u / period)
    elif kind == 2:
        picture = np.minimum(u % period, v % period) > 0.15 * period
    else:
        picture = np.floor(8 * (u - u.min()) / np.ptp(u)) * 5 % 8 / 8
    low, high = np.sort(rng.random(2))
    return np.asarray(low + (high - low) * picture.astype(float))


def phantom(rng: Rng, size: int) -> Picture:
    """Discs, holes and line pairs in a block, as those who test a machine lay them on its table."""
    canvas = Canvas(size)
    depth = 0.5 + 0.3 * canvas.ellipsoid((0.5, 0.5), (0.9, 0.9))
    count = int(rng.integers(3, 9))
    for k in range(count):
        turn = 2 * np.pi * k / count
        place = (0.5 + 0.3 * float(np.cos(turn)), 0.5 + 0.3 * float(np.sin(turn)))
        radius = float(rng.uniform(0.02, 0.09))
        depth = depth + rng.uniform(-0.5, 1.0) * (canvas.ellipsoid(place, (radius, radius)) > 0)
    column, row = canvas.places
    pairs = (np.abs(row - 0.5) < 0.1) & (np.abs(column - 0.5) < 0.12) & (np.sin(column * 250) > 0)
    return stretched(np.exp(-(depth + 0.6 * pairs)) + 0.01 * rng.normal(size=depth.shape), 0, 100)


def text_screen(rng: Rng, size: int) -> Picture:
    """Lines of what looks like letters, frames and tables around them."""
    paper, ink = (0.0, 1.0) if rng.random() < 0.6 else (1.0, 0.0)
    page = np.full((size, size), paper)
    height = max(3, int(size * rng.uniform(0.02, 0.05)))
    for top in range(height, size - 2 * height, int(height * rng.uniform(1.5, 2.5)) + 1):
        if rng.random() < 0.15:
            continue
        begin = int(size * rng.uniform(0.03, 0.2))
        length = int(size * rng.uniform(0.2, 0.75))
        letters = rng.random((height, length)) < 0.5
        letters = ndimage.zoom(
            letters[:, :: max(1, height // 3)].astype(float), (1, max(1, height // 3)), order=0
        )
        letters = letters[:, : max(0, size - begin)]
        page[top : top + height, begin : begin + letters.shape[1]] += (ink - paper) * letters
    if rng.random() < 0.4:
        edge = int(size * rng.uniform(0.02, 0.2))
        page[edge, :] = page[:, edge] = page[-edge - 1, :] = page[:, -edge - 1] = ink
    return np.asarray(np.clip(page, 0, 1))


def scene(rng: Rng, size: int) -> Picture:
    """Things before things, each with an edge, a shade and a texture of its own, as in photographs."""
    canvas = Canvas(size)
    column, row = canvas.places
    picture = rng.random() + rng.uniform(-0.5, 0.5) * row
    for _ in range(int(rng.integers(8, 40))):
        radius = float(0.03 + 0.4 * rng.random() ** 3)
        place = (float(rng.random()), float(rng.random()))
        if rng.random() < 0.5:
            inside = (
                canvas.ellipsoid(
                    place, (radius, radius * float(rng.uniform(0.3, 2))), float(rng.uniform(0, 180))
                )
                > 0
            )
        else:
            inside = (np.abs(column - place[0]) < radius) & (
                np.abs(row - place[1]) < radius * rng.uniform(0.3, 2)
            )
        shade = rng.random() + rng.normal(0, 0.4) * (column - place[0]) + 0.05 * cloud(rng, size, 2)
        picture = np.where(inside, shade, picture)
    return stretched(picture)


def without_phases(rng: Rng, frame: Picture) -> Picture:
    """The spectrum of a frame, and nothing of its form."""
    rows, columns = frame.shape
    other = np.angle(np.fft.rfft2(rng.normal(size=frame.shape)))
    return stretched(
        np.fft.irfft2(np.abs(np.fft.rfft2(frame - frame.mean())) * np.exp(1j * other), s=(rows, columns))
    )


def scrambled(rng: Rng, frame: Picture) -> Picture:
    """A frame cut into squares that are laid in another order."""
    parts = int(rng.choice([4, 6, 8, 12]))
    side = frame.shape[0] // parts
    tiles = [
        frame[side * i : side * (i + 1), side * j : side * (j + 1)]
        for i in range(parts)
        for j in range(parts)
    ]
    order = rng.permutation(len(tiles))
    rows = [
        np.concatenate(
            [np.rot90(tiles[k], int(rng.integers(4))) for k in order[parts * i : parts * (i + 1)]], axis=1
        )
        for i in range(parts)
    ]
    whole = np.concatenate(rows, axis=0)
    return np.asarray(np.pad(whole, [(0, frame.shape[0] - whole.shape[0])] * 2, mode="edge"))


PATTERNS: dict[str, Draw] = {
    "white noise": white_noise,
    "coloured noise": coloured_noise,
    "ramp": ramp,
    "chart": chart,
    "phantom": phantom,
    "text": text_screen,
    "scene": scene,
}
"""By name."""
