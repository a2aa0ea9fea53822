"""Stored frames out of files, one at a time, whatever the transfer syntax.

Frames stream, so memory does not grow with the run. What the file promises is checked against what comes out:
a stream that is cut short, holds another number of frames or frames of another size is an error, never a
shorter run.

Decoders have free licences: pydicom (uncompressed, RLE), Pillow (8-bit JPEG), pyjpegls (JPEG-LS), OpenJPEG
(JPEG 2000, HTJ2K), GDCM (JPEG Lossless), and SimpleITK for JPEG Extended with 12 bits, which none of the
others reads.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    SecondaryCaptureImageStorage,
)

from casgan_dicom.errors import PixelError
from casgan_dicom.series import Cine, Instance

StoredFrame = npt.NDArray[np.integer[Any]]

_LOSSY_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
    HTJ2K: "ISO_15444_15",
}
"""Transfer syntaxes that are or may be lossy: Lossy Image Compression Method of each, PS3.3 C.7.6.1.1.5."""
_ALWAYS_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit)

_PLUGINS = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
}
"""Which of several decoders; GDCM only where it is alone: some broken streams make it end the process."""

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_LIBJPEG_TALK = (b"Unsupported JPEG data precision", b"Invalid SOS parameters for sequential JPEG")
_HEAD_BYTES = 4096
"""How far into a fragment its frame size is looked for."""


@dataclass(frozen=True)
class LossyHistory:
    """What compression the pixels of a cine have lost information to."""

    lossy: bool
    """Whether they ever have."""
    ratios: tuple[float, ...]
    """Compression ratios, oldest first; as many as methods."""
    methods: tuple[str, ...]
    """Defined terms of Lossy Image Compression Method (0028,2114), oldest first."""


def iter_frames(cine: Cine) -> Iterator[StoredFrame]:
    """Decode the frames of a cine in order.

    Parameters
    ----------
    cine
        The cine; its files are opened one after the other.

    Yields
    ------
    integer (rows, columns)
        Stored values as decoded; no rescale, no window, no inversion.

    Raises
    ------
    PixelError
        A file is cut short, cannot be decoded, or holds other frames than its header promises. Frames that
        came before have been yielded: a caller that writes must be ready to throw its work away.
    """
    for instance in cine.instances:
        seen = 0
        for frame in _frames_of(instance, cine):
            seen += 1
            if seen > instance.frames:
                break
            if frame.shape != (cine.rows, cine.columns):
                raise _error(
                    instance,
                    f"frame {seen} is {' × '.join(map(str, frame.shape))}, "
                    f"Rows (0028,0010) × Columns (0028,0011) say {cine.rows} × {cine.columns}",
                )
            yield frame
        if seen != instance.frames:
            found = f"{seen} frames" if seen < instance.frames else f"more than {instance.frames} frames"
            raise _error(instance, f"{found} decoded, NumberOfFrames (0028,0008) says {instance.frames}")


def lossy_history(cine: Cine) -> LossyHistory:
    """Say what lossy compression a cine went through, by its header and by how it is stored.

    Parameters
    ----------
    cine
        The cine; its files are opened if a ratio has to be measured.

    Returns
    -------
    LossyHistory
        What the header declares (the retired element (0008,2110) included) and, where the transfer syntax is
        lossy but not declared, its method with the measured ratio of allocated to encoded bytes.

    Raises
    ------
    PixelError
        A ratio had to be measured and the encoded stream is broken.

    Notes
    -----
    PS3.3 C.7.6.1.1.5: once lossy, always lossy. JPEG Baseline and Extended lose information whatever the
    header says; JPEG-LS near-lossless and JPEG 2000 are believed if they are declared lossless.
    """
    ds = cine.header
    flag = str(ds.get("LossyImageCompression") or ds.get("LossyImageCompressionRetired") or "")
    ratios = tuple(float(r) for r in _several(ds.get("LossyImageCompressionRatio")))
    methods = tuple(str(m) for m in _several(ds.get("LossyImageCompressionMethod")))
    syntax = UID(cine.instances[0].transfer_syntax, IGNORE)
    method = _LOSSY_METHODS.get(syntax)
    stored_lossy = method is not None and (syntax in _ALWAYS_LOSSY or flag != "00")
    if stored_lossy and method is not None and method not in methods:
        if len(ratios) <= len(methods):
            ratios = (*ratios[: len(methods)], _measured_ratio(cine))
        methods = (*methods, method)
    steps = min(len(ratios), len(methods))
    return LossyHistory(stored_lossy or flag == "01", ratios[:steps], methods[:steps])


def _frames_of(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """Frames of one file; whatever a decoder raises becomes a PixelError."""
    try:
        frames = _open_frames(instance, cine)
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # too many or too few bytes or frames: checked by the callers
                frame = next(frames, None)
            if frame is None:
                return
            yield frame
    except PixelError:
        raise
    except Exception as error:  # decoders raise anything on a broken stream
        text = (str(error).splitlines() or [""])[0][:200]
        raise _error(instance, f"cannot be decoded ({type(error).__name__}: {text})") from error


def _open_frames(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """The decoder that this file needs, after a look at the length of its stream."""
    syntax = UID(instance.transfer_syntax, IGNORE)
    if not instance.has_pixels:
        raise _error(instance, "PixelData (7FE0,0010) is absent")
    if syntax == DeflatedExplicitVRLittleEndian:
        return iter_pixels(
            dcmread(instance.path), raw=True
        )  # deflate has no random access: the whole file it is
    _check_stream(instance, cine)
    if syntax == JPEGExtended12Bit and cine.header.BitsStored > 8:
        return _frames_by_simpleitk(instance, cine)
    return iter_pixels(instance.path, raw=True, decoding_plugin=_PLUGINS.get(syntax, ""))


def _check_stream(instance: Instance, cine: Cine) -> None:
    """Raise PixelError if Pixel Data is cut short, or holds frames of another size than the header says."""
    if UID(instance.transfer_syntax, IGNORE).is_compressed:
        for _, head in _fragments(instance):
            size = _codestream_size(head)
            if size is not None and size != (cine.rows, cine.columns):
                found, wanted = " × ".join(map(str, size)), f"{cine.rows} × {cine.columns}"
                raise _error(instance, f"frames are encoded as {found}, Rows × Columns say {wanted}")
        return
    with instance.path.open("rb") as file:
        length = _seek_value(file, instance)
        present = os.fstat(file.fileno()).st_size - file.tell()
    _check_length(instance, cine, length, present)


def _check_length(instance: Instance, cine: Cine, length: int, present: int) -> None:
    """Raise PixelError unless so many uncompressed bytes, all present, are the frames promised."""
    frame_bytes = cine.rows * cine.columns * int(cine.header.BitsAllocated) // 8
    if length > present:
        raise _error(instance, f"PixelData (7FE0,0010) is cut short: {present} of {length} bytes")
    if not 0 <= length - instance.frames * frame_bytes < max(frame_bytes, 2):
        raise _error(
            instance,
            f"PixelData (7FE0,0010) holds {length} bytes, NumberOfFrames (0028,0008) {instance.frames} × "
            f"{frame_bytes} bytes are wanted",
        )


def _seek_value(file: BinaryIO, instance: Instance) -> int:
    """Put the file at the value of Pixel Data and return the length it declares."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the header was judged when the series was found
        ds = dcmread(file, stop_before_pixels=True, specific_tags=[])
    implicit, little = ds.original_encoding
    file.seek(4 if implicit else 8, os.SEEK_CUR)  # tag, and with explicit VR: VR and two reserved bytes
    value = file.read(4)
    if len(value) < 4:
        raise _error(instance, "PixelData (7FE0,0010) is cut short before its length")
    return int(struct.unpack("<I" if little else ">I", value)[0])


def _fragments(instance: Instance) -> Iterator[tuple[int, bytes]]:
    """Length and first bytes of each fragment of an encapsulated stream, PS3.5 A.4, offset table left out."""
    with instance.path.open("rb") as file:
        _seek_value(file, instance)
        size = os.fstat(file.fileno()).st_size
        first = True
        while (tag := file.read(4)) == _ITEM:
            raw_length = file.read(4)
            length = struct.unpack("<I", raw_length)[0] if len(raw_length) == 4 else size
            start = file.tell()
            if start + length > size:
                raise _error(instance, f"PixelData (7FE0,0010) is cut short at byte {size}")
            if not first:
                yield length, file.read(min(length, _HEAD_BYTES))
            file.seek(start + length)
            first = False
        if tag != _SEQUENCE_END:
            raise _error(instance, f"PixelData (7FE0,0010) is cut short or damaged at byte {file.tell()}")


def _codestream_size(head: bytes) -> tuple[int, int] | None:
    """Rows and columns of the JPEG, JPEG-LS or JPEG 2000 stream that begins here; None where none shows."""
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) >= 24:
        width, height, left, top = struct.unpack(">4I", head[8:24])
        return height - top, width - left
    if head[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack(">2H", head[at + 5 : at + 9])
            return (rows, columns) if rows else None  # 0 rows: the number follows after the scan (DNL)
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def _frames_by_simpleitk(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """Frames of JPEG Extended with 12 bits.

    SimpleITK inverts MONOCHROME1 and applies Rescale on its own. So each frame goes to it in a file whose
    header says MONOCHROME2 and nothing else: there is nothing to undo, and one frame is in memory at a time.
    """
    import SimpleITK  # noqa: PLC0415  # heavy, and needed for this one transfer syntax only

    with instance.path.open("rb") as file, tempfile.TemporaryDirectory(prefix="casgan-") as folder:
        _seek_value(file, instance)
        single = Path(folder) / "frame.dcm"
        for encoded in generate_frames(file, number_of_frames=instance.frames):
            _bare_dataset(cine.header, encoded).save_as(single, enforce_file_format=True)
            with _libjpeg_silenced():
                image = SimpleITK.ReadImage(str(single))
            yield np.asarray(SimpleITK.GetArrayFromImage(image)).reshape(cine.rows, -1)


@contextmanager
def _libjpeg_silenced() -> Iterator[None]:
    """Keep from stderr what libjpeg says while GDCM tries its 8, 12 and 16 bit builds one after the other.

    It writes to the file descriptor, out of reach of `warnings` and `sys.stderr`. Every other line that comes
    meanwhile, from any thread, is written afterwards.
    """
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            caught.seek(0)
            os.write(2, b"".join(line for line in caught if not line.startswith(_LIBJPEG_TALK)))


def _bare_dataset(header: Dataset, encoded: bytes) -> Dataset:
    """A data set of one JPEG Extended frame with no word on what its values mean."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = "2.25.1"
    ds.PhotometricInterpretation = "MONOCHROME2"
    for word in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(ds, word, header[word].value)
    ds.SamplesPerPixel = 1
    ds.PixelData = encapsulate([encoded])
    ds["PixelData"].VR = "OB"
    return ds


def _measured_ratio(cine: Cine) -> float:
    """Allocated bytes over encoded bytes of the whole cine."""
    encoded = sum(length for instance in cine.instances for length, _ in _fragments(instance))
    allocated = cine.frames * cine.rows * cine.columns * int(cine.header.BitsAllocated) // 8
    return round(allocated / max(encoded, 1), 4)


def _several(value: object) -> list[Any]:
    """The values of an element as a list, whether it holds none, one or many."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | float | int) else list(value)  # type: ignore[call-overload]


def _error(instance: Instance, text: str) -> PixelError:
    """The error of one instance, named by its UID."""
    return PixelError(
        f"instance {instance.sop_instance_uid}: {text}",
        hint="the file is damaged or incomplete: fetch it again from the archive",
    )
