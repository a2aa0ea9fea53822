"""PNG and NPY files of a folder: what is read, in which order, and what is refused."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import patient_key
from casgan_dicom.model.data.image_folder import read_images


def read(folder: Path) -> list[npt.NDArray[np.float32]]:
    return [series.frames for series in read_images(folder)]


def test_eight_and_sixteen_bit_png_have_the_same_scale(tmp_path: Path) -> None:
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, pixels in (("eight", eight), ("sixteen", eight.astype(np.uint16) * 257)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.PNG", format="png")
        (series,) = read(tmp_path / name)
        assert series.dtype == np.float32
        np.testing.assert_allclose(series, eight[None] / 255, atol=1e-7)


def test_stills_of_one_folder_are_one_series_in_order_of_name(tmp_path: Path) -> None:
    for name, value in (("b", 50), ("a", 10), ("sub/c", 99)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(tmp_path / f"{name}.png")
    first, second = read(tmp_path)
    np.testing.assert_allclose(first[:, 0, 0] * 255, [10, 50], atol=1e-4)
    np.testing.assert_allclose(second[:, 0, 0] * 255, [99], atol=1e-4)


def test_stills_of_other_sizes_are_series_of_their_own(tmp_path: Path) -> None:
    for side in (8, 9):
        Image.fromarray(np.zeros((side, side), np.uint8)).save(tmp_path / f"{side}.png")
    assert sorted(series.shape for series in read(tmp_path)) == [(1, 8, 8), (1, 9, 9)]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((4, 4), 51, np.uint8), 0.2),
        (np.full((2, 4, 4), 13107, np.uint16), 0.2),
        (np.full((4, 4), 0.2, np.float64), 0.2),
        (np.full((4, 4), 2**31, np.uint32), 0.5),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_npy_holds_unsigned_integers_or_unit_floats(
    tmp_path: Path, array: npt.NDArray[np.generic], expected: float
) -> None:
    np.save(tmp_path / "a.npy", array)
    (series,) = read(tmp_path)
    assert series.shape == ((1,) * (3 - array.ndim) + array.shape)
    np.testing.assert_allclose(series, expected, atol=1e-6)


def write_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def save(array: npt.NDArray[np.generic]) -> Callable[[Path], object]:
    return lambda path: np.save(path, array)


COLOUR = np.zeros((8, 8, 3), np.uint8)
COLOUR[3, 4] = (10, 10, 11)
RED = COLOUR * 0 + np.array([255, 0, 0], np.uint8)
GREY4 = np.full((8, 8, 4), 200, np.uint8)


def picture(pixels: npt.NDArray[np.uint8]) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(pixels).save(path)


def palette(pixels: npt.NDArray[np.uint8]) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(pixels).convert("P").save(path)


def cut_short(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1000])


def jpeg(path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, format="jpeg")


def colour_of_16_bits(path: Path) -> None:
    """By hand, because Pillow writes none."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress((b"\0" + b"\x12\x34" * 6) * 2)),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("a.png", write_bytes(b"no picture"), "cannot be read as PNG"),
        ("a.npy", write_bytes(b""), "cannot be read as NPY"),
        ("a.npy", write_bytes(b"no array"), "cannot be read as NPY"),
        ("a.npy", save(np.array([[{}]], dtype=object)), "cannot be read as NPY"),
        ("a.npy", save(np.zeros(4, np.uint8)), "1 dimensions, want (H, W) or (T, H, W)"),
        ("a.npy", save(np.zeros((0, 4, 4), np.float32)), "no pixels"),
        ("a.npy", save(np.zeros((4, 4), np.int16)), "int16 values, want unsigned"),
        ("a.npy", save(np.full((4, 4), 1.5)), "values from 1.5 to 1.5, want floats in [0, 1]"),
        ("a.npy", save(np.full((4, 4), -0.1)), "want floats in [0, 1]"),
        ("a.npy", save(np.full((4, 4), np.nan)), "16 values are NaN, want floats in [0, 1]"),
        ("a.npy", save(np.full((4, 4), np.inf)), "values from inf to inf"),
        ("a.npy", save(np.zeros((32, 32, 3), np.uint8)), "shape (32, 32, 3) looks like colour"),
        ("a.npy", save(np.zeros((2, 8, 8, 3), np.uint8)), "4 dimensions"),
        ("a.png", picture(COLOUR), "a colour PNG whose channels differ, want grey"),
        ("a.png", picture(GREY4), "a PNG with transparency, want grey"),
        ("a.png", picture(GREY4[..., :2]), "a PNG with transparency, want grey"),
        ("a.png", palette(RED), "a colour PNG whose channels differ, want grey"),
        ("a.png", cut_short, "cannot be read as PNG"),
        ("a.png", jpeg, "cannot be read as PNG"),
        ("a.png", colour_of_16_bits, "a colour PNG of 16 bits, want grey"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, write: Callable[[Path], object], told: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(ConfigError, match=rf"^a\.\w+: .*{re.escape(told)}"):
        read(tmp_path)


def test_an_archive_under_the_name_of_an_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(ConfigError, match="archive"):
        read(tmp_path)


def grey(path: Path, value: int, dtype: type[np.generic] = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, dtype)).save(path)


def array(path: Path, dtype: type[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((8, 8), dtype))


def test_a_grey_picture_saved_in_colour_or_with_a_palette_is_read_as_grey(tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    picture(np.repeat(values[..., None], 3, axis=-1))(tmp_path / "a.png")
    Image.fromarray(values).convert("P").save(tmp_path / "b.png")
    (stills,) = read(tmp_path)
    np.testing.assert_allclose(stills, np.stack([values, values]) / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("png8", "png16", "a/1.png has 8 bits, b/1.png has 16"),
        ("png16", "png8", "a/1.png has 16 bits, b/1.png has 8"),
        ("npy8", "npy16", "a/1.npy has 8 bits, b/1.npy has 16"),
        ("png8", "npy16", "b/1.npy has 16 bits, a/1.png has 8"),
    ],
)
def test_two_bit_depths_in_one_domain_are_refused_by_the_names_of_two_files(
    tmp_path: Path, first: str, second: str, told: str
) -> None:
    for folder, kind in (("a", first), ("b", second)):
        dtype = np.uint16 if kind.endswith("16") else np.uint8
        if kind.startswith("png"):
            grey(tmp_path / folder / "1.png", 7, dtype)
        else:
            array(tmp_path / folder / "1.npy", dtype)
    with pytest.raises(ConfigError, match=f"mixed bit depth: {told}"):
        read(tmp_path)


def test_floats_have_no_bit_depth_and_may_lie_beside_integers(tmp_path: Path) -> None:
    for name, dtype in (("a", np.float32), ("b", np.float64), ("c", np.uint16)):
        array(tmp_path / f"{name}.npy", dtype)
    assert len(read(tmp_path)) == 3


def test_the_first_sub_folder_is_the_patient_and_the_file_or_the_folder_of_stills_the_series(
    tmp_path: Path,
) -> None:
    for name in ("one/late/1.png", "one/late/2.png", "one/early/1.png", "loose.png", "other.png"):
        grey(tmp_path / name, 1)
    for name in ("one/run.npy", "two/deep/run.npy", "alone.npy"):
        array(tmp_path / name, np.uint8)

    found = [(series.key, series.patient, len(series.frames)) for series in read_images(tmp_path)]

    assert sorted(found) == [
        (".", patient_key("."), 2),
        ("alone", patient_key("alone"), 1),
        ("one/early", patient_key("one"), 1),
        ("one/late", patient_key("one"), 2),
        ("one/run", patient_key("one"), 1),
        ("two/deep/run", patient_key("two"), 1),
    ]


def test_the_order_is_that_of_the_names_not_of_the_disk(tmp_path: Path) -> None:
    names = ["b/2", "a/9", "c", "a/10", "b/1"]
    for folder, order in (("one", names), ("two", names[::-1])):
        for name in order:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / folder / f"{name}.npy", np.full((4, 4), names.index(name), np.uint8))
    orders = [
        [(s.key, int(s.frames.max() * 255 + 0.5)) for s in read_images(tmp_path / f)] for f in ("one", "two")
    ]
    assert orders[0] == orders[1] == [("a/10", 3), ("a/9", 1), ("b/1", 4), ("b/2", 0), ("c", 2)]


def test_hidden_files_and_folders_named_like_pictures_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "._a.png").write_bytes(b"resource fork")
    (tmp_path / "b.png").mkdir()
    grey(tmp_path / "b.png" / "c.png", 51)
    (stills,) = read(tmp_path)
    np.testing.assert_allclose(stills, np.full((1, 8, 8), 0.2), atol=1e-6)
