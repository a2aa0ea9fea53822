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
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID

from casgan_dicom.cine import Cine, Instance
from casgan_dicom.errors import PixelError
from casgan_dicom.inflate import inflated
from casgan_dicom.jpeg import JpegDecoder, JpegError, frame_header
from casgan_dicom.syntaxes import always_loses, decoder_of, lossy_method
from casgan_dicom.values import numbers, several

StoredFrame = npt.NDArray[np.integer[Any]]

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEADER_BYTES = 2**28
"""What a deflated data set may hold beside its frames."""
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
    with JpegDecoder() as decoder:
        for instance in cine.instances:
            yield from _checked_frames(instance, cine, decoder)


def lossy_history(cine: Cine) -> LossyHistory:
    """Say what lossy compression a cine went through, by its headers and by how it is stored.

    Parameters
    ----------
    cine
        The cine; its files are opened if a ratio has to be measured.

    Returns
    -------
    LossyHistory
        What the headers declare (the retired element (0008,2110) included) and, where a transfer syntax is
        lossy but not declared, its method with the measured ratio of allocated to encoded bytes. A method
        that several instances went through is named once, with the ratio of the first.

    Raises
    ------
    PixelError
        A ratio had to be measured and the encoded stream is broken.

    Notes
    -----
    PS3.3 C.7.6.1.1.5: once lossy, always lossy, so one lossy frame makes a lossy cine. JPEG Baseline and
    Extended lose information whatever the header says; JPEG-LS near-lossless and JPEG 2000 are believed if
    they are declared lossless.
    """
    lossy = False
    steps: list[tuple[str, float]] = []
    for instance, ds in zip(cine.instances, cine.headers, strict=True):
        declared = _declared_lossy(ds)
        stored = _lossy_method(instance, declared)
        lossy = lossy or stored is not None or declared == "01"
        known = [method for method, _ in steps]
        methods = [str(method) for method in several(ds.get("LossyImageCompressionMethod"))]
        ratios = _ratios(ds)
        steps += [step for step in zip(methods, ratios, strict=False) if step[0] not in known]
        if stored is not None and stored not in (*known, *methods):
            spare = ratios[len(methods)] if len(ratios) > len(methods) else None
            steps.append((stored, spare or _measured_ratio(cine, instance.transfer_syntax)))
    return LossyHistory(lossy, tuple(ratio for _, ratio in steps), tuple(method for method, _ in steps))


def _checked_frames(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """Frames of one file; PixelError if they are not as many and as large as its header says."""
    seen = 0
    for frame in _frames_of(instance, cine, decoder):
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
        raise _error(instance, f"cannot be decoded ({type(error).__name__}: {text})") from error


def _open_frames(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """The decoder that this file needs, after a look at the length of its stream."""
    if not instance.has_pixels:
        raise _error(instance, "PixelData (7FE0,0010) is absent")
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
    limit = instance.frames * _frame_bytes(cine) + _HEADER_BYTES
    with instance.path.open("rb") as packed, inflated(packed, limit, whole=True) as file:
        length = _seek_value(file, instance)
        _check_length(instance, cine, length, os.fstat(file.fileno()).st_size - file.tell())
        file.seek(0)
        yield from iter_pixels(file, raw=True, correct_unused_bits=_at_the_bottom(cine.header))


def _frame_bytes(cine: Cine) -> int:
    """Bytes of an uncompressed frame."""
    return cine.rows * cine.columns * int(cine.header.BitsAllocated) // 8


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
    frame_bytes = _frame_bytes(cine)
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
    found = frame_header(head)
    return (found.rows, found.columns) if found and found.rows else None  # 0: given after the scan (DNL)


def _frames_by_gdcm(instance: Instance, cine: Cine, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """Frames of JPEG; samples of up to 8 bits come in one byte, others in two, as the stream itself says."""
    signed = bool(cine.header.PixelRepresentation)
    with instance.path.open("rb") as file:
        _seek_value(file, instance)
        streams = generate_frames(
            file, number_of_frames=instance.frames, extended_offsets=_extended_offsets(instance, cine)
        )
        try:
            for head, values in decoder.decode(streams, instance.transfer_syntax, signed=signed):
                if head.precision < cine.header.BitsStored:
                    raise _error(
                        instance,
                        f"frames are encoded with {head.precision} bits, "
                        f"BitsStored (0028,0101) says {cine.header.BitsStored}",
                    )
                dtype = np.dtype(f"{'i' if signed else 'u'}{head.nbytes // (head.rows * head.columns)}")
                yield np.frombuffer(values, dtype).reshape(head.rows, head.columns)
        except JpegError as error:
            raise _error(instance, f"cannot be decoded ({error})") from error


def _extended_offsets(instance: Instance, cine: Cine) -> tuple[bytes, bytes] | None:
    """Extended Offset Table (7FE0,0001) and its lengths (7FE0,0002); None where one is absent or empty."""
    ds = cine.headers[cine.instances.index(instance)]
    offsets, lengths = ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None


def _ratios(ds: Dataset) -> list[float]:
    """Lossy Image Compression Ratio (0028,2112); none where a value is no number above 0."""
    ratios = numbers(ds, "LossyImageCompressionRatio")
    return ratios if all(ratio > 0 for ratio in ratios) else []


def _declared_lossy(ds: Dataset) -> str:
    """Lossy Image Compression (0028,2110), or the retired element (0008,2110): 00, 01 or nothing."""
    return str(ds.get("LossyImageCompression") or ds.get("LossyImageCompressionRetired") or "")


def _lossy_method(instance: Instance, declared: str) -> str | None:
    """Method by which the file itself lost information; None if it did not."""
    syntax = instance.transfer_syntax
    return lossy_method(syntax) if always_loses(syntax) or declared != "00" else None


def _measured_ratio(cine: Cine, syntax: str) -> float:
    """Allocated bytes over encoded bytes of all instances that are stored in this transfer syntax."""
    stored = [instance for instance in cine.instances if instance.transfer_syntax == syntax]
    encoded = sum(length for instance in stored for length, _ in _fragments(instance))
    return round(sum(instance.frames for instance in stored) * _frame_bytes(cine) / max(encoded, 1), 4)


def _error(instance: Instance, text: str) -> PixelError:
    """The error of one instance, named by its UID."""
    return PixelError(
        f"instance {instance.sop_instance_uid}: {text}",
        hint="the file is damaged or incomplete: fetch it again from the archive",
    )
