"""A folder of PNG and NPY files, read into series.

A file that cannot be meant as X-ray frames is refused by name: a colour picture, another bit depth than
its neighbours', values out of range. What a generator learns from such a file nobody would notice later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.data.frames import FULL, Frames, Series, patient_key

_DEPTH_BYTE = 24
"""Place of the bit depth in a PNG file, in its first chunk (PNG specification, 11.2.2)."""
_COLOUR_CHANNELS = 4
"""A last axis this short or shorter holds colours, not columns."""


class OneDepth:
    """Sees to it that the files of a domain have one bit depth.

    The depth of a 12-bit frame in a 16-bit file is 16: only files of one program share a brightness scale,
    and files of two depths are of two programs.
    """

    def __init__(self) -> None:
        self._first: tuple[PurePath, int] | None = None

    def check(self, name: PurePath, bits: int) -> None:
        """Raise ConfigError if another file before `name` had another depth."""
        first, wanted = self._first = self._first or (name, bits)
        if bits != wanted:
            raise ConfigError(
                f"mixed bit depth: {first} has {wanted} bits, {name} has {bits}",
                hint="write all files of a domain with one bit depth",
            )


def read_images(folder: Path) -> Iterator[Series]:
    """Read the PNG (grey, 8 or 16 bit) and NPY (2-D or 3-D) files of a folder and its sub-folders.

    An NPY file is a series. PNG stills that lie in one folder are one, because they share a brightness scale.
    The patient is the first sub-folder; a file that lies in no sub-folder is a patient of its own, and so are
    the stills that do. NPY holds unsigned integers (full range) or floats in [0, 1].

    Raises
    ------
    ConfigError
        A file that cannot be read or is no grey frames, or two whose bit depths differ.
    """
    depth = OneDepth()
    stills: dict[PurePath, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        kind = path.suffix.lower()
        if kind not in (".png", ".npy") or path.name.startswith(".") or not path.is_file():
            continue
        if kind == ".npy":
            patient = patient_key(name.parts[0] if len(name.parts) > 1 else name.stem)
            yield Series(_read_npy(path, name, depth), name.with_suffix("").as_posix(), patient)
        else:
            stills.setdefault(name.parent, []).append(path)
    for parent, paths in stills.items():
        frames = [read_still(path, path.relative_to(folder), depth) for path in paths]
        patient = patient_key(parent.parts[0] if parent.parts else ".")
        yield from stacked(frames, parent.as_posix(), patient)


def stacked(stills: Sequence[Frames], key: str, patient: str) -> Iterator[Series]:
    """Give stills (H, W) as one series; as one each where their shapes differ."""
    if len({still.shape for still in stills}) == 1:
        yield Series(np.stack(stills), key, patient)
    else:
        yield from (Series(still[None], key, patient) for still in stills)


def read_still(path: Path, name: PurePath, depth: OneDepth) -> Frames:
    """Read a grey PNG as float32 (H, W) in [0, 1]; raises ConfigError that calls it `name`."""
    pixels, bits = read_png(path, name)
    depth.check(name, bits)
    return (pixels / (FULL if bits > 8 else 255)).astype(np.float32)


def read_png(path: Path, name: PurePath) -> tuple[npt.NDArray[np.uint16], int]:
    """Read a grey PNG: stored values (H, W) and bits of each.

    Below 8 bits, values are scaled to 0 … 255. A colour picture passes when its channels are equal.
    Raises ConfigError that calls it `name`.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image, path.open("rb") as file:
            image.load()
            bits = file.read(_DEPTH_BYTE + 1)[_DEPTH_BYTE]
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{name}: cannot be read as PNG ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        raise ConfigError(f"{name}: cannot be read as PNG ({error})") from error
    if image.has_transparency_data:
        raise ConfigError(f"{name}: a PNG with transparency, want grey without")
    if image.mode in ("RGB", "P"):
        if image.mode == "RGB" and bits > 8:  # Pillow drops the low bits of these
            raise ConfigError(f"{name}: a colour PNG of {bits} bits, want grey")
        return _grey(np.asarray(image.convert("RGB")), name), 8
    pixels = np.asarray(image)
    return (pixels * np.uint16(255) if image.mode == "1" else pixels).astype(np.uint16), bits


def _grey(colour: npt.NDArray[np.uint8], name: PurePath) -> npt.NDArray[np.uint16]:
    if (colour != colour[..., :1]).any():
        raise ConfigError(f"{name}: a colour PNG whose channels differ, want grey")
    return colour[..., 0].astype(np.uint16)


def _read_npy(path: Path, name: PurePath, depth: OneDepth) -> Frames:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ConfigError(f"{name}: cannot be read as NPY ({error})") from error
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{name}: an archive of arrays, want one array")
    if array.ndim not in (2, 3):
        raise ConfigError(f"{name}: {array.ndim} dimensions, want (H, W) or (T, H, W)")
    if array.size == 0:
        raise ConfigError(f"{name}: no pixels, shape {array.shape}")
    if array.ndim == 3 and array.shape[-1] <= _COLOUR_CHANNELS < array.shape[-2]:
        raise ConfigError(f"{name}: shape {array.shape} looks like colour, want (H, W) or (T, H, W)")
    if np.issubdtype(array.dtype, np.unsignedinteger):
        depth.check(name, array.dtype.itemsize * 8)
        array = array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    elif not np.issubdtype(array.dtype, np.floating):
        raise ConfigError(f"{name}: {array.dtype} values, want unsigned integers or floats in [0, 1]")
    elif np.isnan(array).any():
        raise ConfigError(f"{name}: {np.isnan(array).sum()} values are NaN, want floats in [0, 1]")
    elif not (array.min() >= 0 and array.max() <= 1):
        raise ConfigError(f"{name}: values from {array.min()} to {array.max()}, want floats in [0, 1]")
    frames: Frames = array.astype(np.float32).reshape(-1, *array.shape[-2:])
    return frames
