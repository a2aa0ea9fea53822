"""Encoders that are not ours, for sources in the transfer syntaxes that pydicom does not write."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.factories import Frames, write_xa
from tests.support.programs import find_program

BY_DCMTK = {
    ImplicitVRLittleEndian: ("dcmconv", "+ti"),
    ExplicitVRLittleEndian: ("dcmconv", "+te"),
    ExplicitVRBigEndian: ("dcmconv", "+tb"),
    DeflatedExplicitVRLittleEndian: ("dcmconv", "+td"),
    RLELossless: ("dcmcrle",),
    JPEGLossless: ("dcmcjpeg", "+el"),
    JPEGLosslessSV1: ("dcmcjpeg", "+e1"),
    JPEGLSLossless: ("dcmcjpls", "+el"),
}
"""Programs of DCMTK that encode without loss."""

GDCM_ENCODER = """
import sys, gdcm
source, target, syntax = sys.argv[1:]
reader = gdcm.ImageReader()
reader.SetFileName(source)
assert reader.Read()
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
change.SetInput(reader.GetImage())
assert change.Change()
writer = gdcm.ImageWriter()
writer.SetFileName(target)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
"""


UNCOMPRESSED_FRAMES = UID("1.2.840.10008.1.2.1.98")
"""Encapsulated Uncompressed Explicit VR Little Endian, PS3.5 A.4.11."""
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
"""Deflated Image Frame Compression, PS3.5 A.4.14."""


def deflated(frame: npt.NDArray[np.integer[Any]]) -> bytes:
    """One frame as a raw deflate stream (RFC 1951), of even length."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(np.ascontiguousarray(frame).tobytes()) + packer.flush()
    return stream + bytes(len(stream) % 2)


def plain(frame: npt.NDArray[np.integer[Any]]) -> bytes:
    """One frame as it is, of even length."""
    content = np.ascontiguousarray(frame).tobytes()
    return content + bytes(len(content) % 2)


BY_FRAME = {UNCOMPRESSED_FRAMES: plain, DEFLATED_FRAMES: deflated}
"""What makes a stream of one frame."""


def by_frame(raw: Path, target: Path, syntax: UID) -> None:
    """Encode an uncompressed file of little endian words, frame by frame."""
    ds = dcmread(raw)
    words = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}")
    size = ds.Rows * ds.Columns
    frames = words[: size * int(ds.get("NumberOfFrames") or 1)].reshape(-1, ds.Rows, ds.Columns)
    ds.PixelData = encapsulate([BY_FRAME[syntax](frame) for frame in frames])
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(target)


def dcmtk(program: str, *arguments: object) -> None:
    """Run a program of DCMTK."""
    subprocess.run([find_program(program, "dcmtk"), *map(str, arguments)], check=True, capture_output=True)


def by_gdcm(source: Path, target: Path, syntax: UID) -> None:
    """Encode by GDCM, in a process of its own as always."""
    command = [sys.executable, "-W", "ignore", "-c", GDCM_ENCODER, str(source), str(target), syntax]
    subprocess.run(command, check=True, capture_output=True)


def with_streams(path: Path, run: Frames, streams: list[bytes], syntax: UID, bits: int) -> Path:
    """A file that holds these codestreams, one for each frame of `run`."""
    write_xa(path, run, BitsStored=bits)
    ds = dcmread(path)
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path)
    return path
