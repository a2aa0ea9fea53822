"""Programs and libraries of others that read our pixels: none shares the decoder of the one before it.

Each takes a file and gives its stored values, (frames, rows, columns). What one cannot read raises
`subprocess.CalledProcessError` or RuntimeError. GDCM runs in processes of its own: some streams end them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from tests.support.factories import Frames
from tests.support.programs import find_program

_DCMTK = {
    RLELossless: ("dcmdrle",),
    JPEGLSLossless: ("dcmdjpls",),
    JPEGBaseline8Bit: ("dcmdjpeg",),
}
"""DCMTK 3.6.7 has a program for each encoding; what is left to dcmconv, it cannot read."""
_PYDICOM = {
    RLELossless: "pydicom",
    JPEGLSLossless: "pyjpegls",
    JPEGBaseline8Bit: "pillow",
    JPEG2000Lossless: "pillow",
}
"""Plugins of pydicom; where there is a choice, not the library that we encode with."""

_GDCM = """
import gdcm, sys
reader = gdcm.ImageReader()
reader.SetFileName(sys.argv[1])
assert reader.Read()
sys.stdout.buffer.write(reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape"))
"""


def by_dcmtk(path: Path) -> Frames:
    """DCMTK: decompressed by its own codecs, written out raw."""
    header = dcmread(path, stop_before_pixels=True)
    with tempfile.TemporaryDirectory() as folder:
        plain = path
        syntax = header.file_meta.TransferSyntaxUID
        if syntax.is_compressed:
            plain = Path(folder, "plain.dcm")
            program, *options = _DCMTK.get(syntax, ("dcmconv", "+te"))
            _run(find_program(program, "dcmtk"), *options, path, plain)
        _run(find_program("dcmdump", "dcmtk"), "+W", folder, plain)
        (raw,) = Path(folder).glob("*.raw")
        return _shaped(raw.read_bytes(), path)


def by_gdcm(path: Path) -> Frames:
    """GDCM: decompressed by its own codecs in a process of its own."""
    command = [sys.executable, "-c", _GDCM, str(path)]
    return _shaped(subprocess.run(command, check=True, capture_output=True).stdout, path)


def by_simpleitk(path: Path) -> Frames:
    """SimpleITK: the codecs of ITK."""
    image = SimpleITK.ReadImage(str(path))
    values = SimpleITK.GetArrayFromImage(image)
    return np.asarray(values.astype(_dtype(path)))


def by_pydicom(path: Path) -> Frames:
    """pydicom with the plugin that shares least with our encoders."""
    ds = dcmread(path)
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        ds.pixel_array_options(decoding_plugin=_PYDICOM[syntax])
    return np.asarray(ds.pixel_array).reshape(_shape(path))


READERS: dict[str, Callable[[Path], Frames]] = {
    "dcmtk": by_dcmtk,
    "gdcm": by_gdcm,
    "simpleitk": by_simpleitk,
    "pydicom": by_pydicom,
}
"""All of them by name."""


def _run(program: str, *arguments: object) -> None:
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def _dtype(path: Path) -> np.dtype[np.unsignedinteger]:
    return np.dtype("u1" if dcmread(path, stop_before_pixels=True).BitsAllocated == 8 else "<u2")


def _shape(path: Path) -> tuple[int, int, int]:
    header = dcmread(path, stop_before_pixels=True)
    return int(header.get("NumberOfFrames") or 1), header.Rows, header.Columns


def _shaped(raw: bytes, path: Path) -> Frames:
    """Little-endian values without the byte of padding."""
    frames, rows, columns = _shape(path)
    return np.frombuffer(raw, dtype=_dtype(path), count=frames * rows * columns).reshape(
        frames, rows, columns
    )
