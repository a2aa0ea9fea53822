"""Stored frames out of files, one at a time, whatever the transfer syntax.

Frames stream, so memory does not grow with the run. What the file promises is checked against what comes out:
a stream that is cut short, holds another number of frames or frames of another size is an error, never a
shorter run.

Which decoder takes which transfer syntax is told in syntaxes.py; all have free licences. GDCM, which decodes
all forms of JPEG, runs in a process of its own (jpeg.py).
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID

from casgan_dicom.errors import PixelError
from casgan_dicom.pixels.jpeg import JpegDecoder, JpegError, frame_header
from casgan_dicom.pixels.pixel_data import fragments, frame_bytes, instance_error, seek_value
from casgan_dicom.pixels.syntaxes import decoder_of
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.inflate import inflated

StoredFrame = npt.NDArray[np.integer[Any]]

_HEADER_BYTES = 2**28
"""What a deflated data set may hold beside its frames."""


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
    with JpegDecoder() as decoder:
        for instance in cine.instances:
            yield from _checked_frames(instance, cine, decoder)


def _checked_frames(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """Frames of one file; PixelError if they are not as many and as large as its header says."""
    seen = 0
    for frame in _frames_of(instance, cine, decoder):
        seen += 1
        if seen > instance.frames:
            break
        if frame.shape != (cine.rows, cine.columns):
            raise instance_error(
                instance,
                f"frame {seen} is {' × '.join(map(str, frame.shape))}, "
                f"Rows (0028,0010) × Columns (0028,0011) say {cine.rows} × {cine.columns}",
            )
        yield frame
    if seen != instance.frames:
        found = f"{seen} frames" if seen < instance.frames else f"more than {instance.frames} frames"
        raise instance_error(instance, f"{found} decoded, NumberOfFrames (0028,0008) says {instance.frames}")


def _frames_of(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """Frames of one file; whatever a decoder raises becomes a PixelError."""
    try:
        frames = _open_frames(instance, cine, decoder)
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
        raise instance_error(instance, f"cannot be decoded ({type(error).__name__}: {text})") from error


def _open_frames(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """The decoder that this file needs, after a look at the length of its stream."""
    if not instance.has_pixels:
        raise instance_error(instance, "PixelData (7FE0,0010) is absent")
    wanted = decoder_of(instance.transfer_syntax)
    if wanted.way == "inflated":
        return _inflated_frames(instance, cine)
    _check_stream(instance, cine)
    if wanted.way == "process":
        return _frames_by_gdcm(instance, cine, decoder)
    correct = _at_the_bottom(cine.header)
    return iter_pixels(instance.path, raw=True, decoding_plugin=wanted.plugin, correct_unused_bits=correct)


def _at_the_bottom(ds: Dataset) -> bool:
    """Whether values are in the lowest bits of their words; elsewhere pydicom would shift them out."""
    return bool(ds.get("HighBit") == ds.BitsStored - 1)


def _inflated_frames(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """Frames of a deflated file, out of a temporary one that is as long as its header lets expect."""
    limit = instance.frames * frame_bytes(cine) + _HEADER_BYTES
    with instance.path.open("rb") as packed, inflated(packed, limit, whole=True) as file:
        length = seek_value(file, instance)
        _check_length(instance, cine, length, os.fstat(file.fileno()).st_size - file.tell())
        file.seek(0)
        yield from iter_pixels(file, raw=True, correct_unused_bits=_at_the_bottom(cine.header))


def _check_stream(instance: Instance, cine: Cine) -> None:
    """Raise PixelError if Pixel Data is cut short, or holds frames of another size than the header says."""
    if UID(instance.transfer_syntax, IGNORE).is_compressed:
        for _, head in fragments(instance):
            size = _codestream_size(head)
            if size is not None and size != (cine.rows, cine.columns):
                found, wanted = " × ".join(map(str, size)), f"{cine.rows} × {cine.columns}"
                raise instance_error(instance, f"frames are encoded as {found}, Rows × Columns say {wanted}")
        return
    with instance.path.open("rb") as file:
        length = seek_value(file, instance)
        present = os.fstat(file.fileno()).st_size - file.tell()
    _check_length(instance, cine, length, present)


def _check_length(instance: Instance, cine: Cine, length: int, present: int) -> None:
    """Raise PixelError unless so many uncompressed bytes, all present, are the frames promised."""
    each = frame_bytes(cine)
    if length > present:
        raise instance_error(instance, f"PixelData (7FE0,0010) is cut short: {present} of {length} bytes")
    if not 0 <= length - instance.frames * each < max(each, 2):
        raise instance_error(
            instance,
            f"PixelData (7FE0,0010) holds {length} bytes, NumberOfFrames (0028,0008) {instance.frames} × "
            f"{each} bytes are wanted",
        )


def _codestream_size(head: bytes) -> tuple[int, int] | None:
    """Rows and columns of the JPEG, JPEG-LS or JPEG 2000 stream that begins here; None where none shows."""
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) >= 24:
        width, height, left, top = struct.unpack(">4I", head[8:24])
        return height - top, width - left
    found = frame_header(head)
    return (found.rows, found.columns) if found and found.rows else None  # 0: given after the scan (DNL)


def _frames_by_gdcm(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """Frames of JPEG; samples of up to 8 bits come in one byte, others in two, as the stream itself says."""
    signed = bool(cine.header.PixelRepresentation)
    with instance.path.open("rb") as file:
        seek_value(file, instance)
        streams = generate_frames(
            file, number_of_frames=instance.frames, extended_offsets=_extended_offsets(instance, cine)
        )
        try:
            for head, values in decoder.decode(streams, instance.transfer_syntax, signed=signed):
                if head.precision < cine.header.BitsStored:
                    raise instance_error(
                        instance,
                        f"frames are encoded with {head.precision} bits, "
                        f"BitsStored (0028,0101) says {cine.header.BitsStored}",
                    )
                dtype = np.dtype(f"{'i' if signed else 'u'}{head.nbytes // (head.rows * head.columns)}")
                yield np.frombuffer(values, dtype).reshape(head.rows, head.columns)
        except JpegError as error:
            raise instance_error(instance, f"cannot be decoded ({error})") from error


def _extended_offsets(instance: Instance, cine: Cine) -> tuple[bytes, bytes] | None:
    """Extended Offset Table (7FE0,0001) and its lengths (7FE0,0002); None where one is absent or empty."""
    ds = cine.headers[cine.instances.index(instance)]
    offsets, lengths = ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None
