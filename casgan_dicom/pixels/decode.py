"""Stored frames out of files, one at a time, whatever the transfer syntax.

Frames stream, so memory does not grow with the run. What the file promises is checked against what comes out:
a stream that is cut short, holds another number of frames or frames of another size is an error, never a
shorter run.

Which bytes are a frame tells layout.py, which decoder takes which transfer syntax syntaxes.py; a stream of
another kind than the syntax names is decoded as what it is. All decoders have free licences. GDCM, which
decodes all forms of JPEG, runs in a process of its own (jpeg.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from casgan_dicom.errors import PixelError, first_line
from casgan_dicom.pixels.codestream import StreamHeader
from casgan_dicom.pixels.jpeg import FrameHeader, JpegDecoder, JpegError
from casgan_dicom.pixels.jpeg_xl import decode_xl
from casgan_dicom.pixels.layout import (
    NativeLayout,
    StreamLayout,
    holds_fragments,
    native_file,
    native_layout,
    stream_layout,
)
from casgan_dicom.pixels.pixel_data import content_of, frame_bytes, instance_error
from casgan_dicom.pixels.plain_streams import frame_of_bytes, inflated_frame
from casgan_dicom.pixels.stored_values import Clamped, in_range, unmasked
from casgan_dicom.pixels.syntaxes import decoding
from casgan_dicom.source.cine import Cine, Instance

StoredFrame = npt.NDArray[np.integer[Any]]


def iter_frames(cine: Cine, clamped: Clamped | None = None) -> Iterator[StoredFrame]:
    """Decode the frames of a cine in order.

    Parameters
    ----------
    cine
        The cine; its files are opened one after the other.
    clamped
        Counts what lay beyond Bits Stored in decoded streams.

    Yields
    ------
    integer (rows, columns)
        Stored values as decoded; no rescale, no window, no inversion. Uncompressed words lose what stands
        above Bits Stored (0028,0101), values of a stream are clamped to it.

    Raises
    ------
    PixelError
        A file is cut short, cannot be decoded, or holds other frames than its header promises. Frames that
        came before have been yielded: a caller that writes must be ready to throw its work away.
    """
    count = Clamped() if clamped is None else clamped
    with JpegDecoder() as decoder:
        for instance, ds in zip(cine.instances, cine.headers, strict=True):
            yield from _checked_frames(instance, ds, cine, decoder, count)


def _checked_frames(
    instance: Instance, ds: Dataset, cine: Cine, decoder: JpegDecoder, clamped: Clamped
) -> Iterator[StoredFrame]:
    """Frames of one file; PixelError if they are not as many and as large as its header says."""
    seen = 0
    for frame in _frames_of(instance, ds, cine, decoder, clamped):
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


def _frames_of(
    instance: Instance, ds: Dataset, cine: Cine, decoder: JpegDecoder, clamped: Clamped
) -> Iterator[StoredFrame]:
    """Frames of one file; whatever a decoder raises becomes a PixelError."""
    try:
        frames = _open_frames(instance, ds, cine, decoder, clamped)
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # too many or too few bytes: checked by the callers
                frame = next(frames, None)
            if frame is None:
                return
            yield frame
    except PixelError as error:
        named = error.message.startswith("instance ")
        raise error if named else instance_error(instance, error.message) from error
    except JpegError as error:
        raise instance_error(instance, f"cannot be decoded ({error})") from error
    except Exception as error:  # decoders raise anything on a broken stream
        text = f"{type(error).__name__}: {first_line(error)}"
        raise instance_error(instance, f"cannot be decoded ({text})") from error


def _open_frames(
    instance: Instance, ds: Dataset, cine: Cine, decoder: JpegDecoder, clamped: Clamped
) -> Iterator[StoredFrame]:
    """The way that this file needs, after a look at where its frames lie."""
    if not instance.has_pixels:
        raise instance_error(instance, "PixelData (7FE0,0010) is absent")
    if not holds_fragments(instance):
        return _native_frames(instance, cine)
    layout = stream_layout(instance, ds)
    _check_size(instance, cine, layout)
    return _decoded_frames(instance, cine, layout, (decoder, clamped))


def _native_frames(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """Uncompressed frames, of a deflated file too."""
    with native_file(instance, cine) as file:
        layout = native_layout(file, instance, cine)
        for k in range(instance.frames):
            file.seek(layout.start + k * layout.stride)
            yield _unused_bits_off(_native_frame(file, cine, layout), cine)


def _native_frame(file: BinaryIO, cine: Cine, layout: NativeLayout) -> StoredFrame:
    """The frame at which the file stands, in words of this machine."""
    odd = layout.swapped and (frame_bytes(cine) % 2 or file.tell() % 2 != layout.start % 2)
    if odd:
        raise PixelError("frames of an odd size in big endian words: cannot be told apart")
    dtype = np.dtype(f"{'<' if layout.little else '>'}u{int(cine.header.BitsAllocated) // 8}")
    words = np.frombuffer(file.read(frame_bytes(cine)), dtype)
    if layout.swapped:
        words = words.reshape(-1, 2)[:, ::-1]
    return words.reshape(cine.rows, cine.columns).astype(dtype.newbyteorder("="))


def _unused_bits_off(words: StoredFrame, cine: Cine) -> StoredFrame:
    """Uncompressed words as values; as they stand where their value is not in the lowest bits."""
    ds = cine.header
    signed = bool(ds.get("PixelRepresentation"))
    at_the_bottom = ds.get("HighBit") == ds.BitsStored - 1
    bits = int(ds.BitsStored) if at_the_bottom else int(ds.BitsAllocated)
    return unmasked(words, bits, signed=signed)


def _check_size(instance: Instance, cine: Cine, layout: StreamLayout) -> None:
    """Raise PixelError if a stream says another size than the header, or another number of bits."""
    for fragments in layout.frames:
        header = fragments[0].header
        if header is None or not header.rows:  # 0: given after the scan (DNL)
            continue
        if (header.rows, header.columns) != (cine.rows, cine.columns):
            found = f"{header.rows} × {header.columns}"
            wanted = f"{cine.rows} × {cine.columns}"
            raise instance_error(instance, f"frames are encoded as {found}, Rows × Columns say {wanted}")
        if header.kind == "JPEG" and header.precision < cine.header.BitsStored:
            raise instance_error(
                instance,
                f"frames are encoded with {header.precision} bits, "
                f"BitsStored (0028,0101) says {cine.header.BitsStored}",
            )


def _decoded_frames(
    instance: Instance, cine: Cine, layout: StreamLayout, tools: tuple[JpegDecoder, Clamped]
) -> Iterator[StoredFrame]:
    """Encapsulated frames; runs of streams of one kind go to their decoder together."""
    decoder, clamped = tools
    headers = [fragments[0].header for fragments in layout.frames]
    with instance.path.open("rb") as file:
        streams = (content_of(file, fragments) for fragments in layout.frames)
        runs = groupby(headers, lambda header: decoding(instance.transfer_syntax, header))
        for (who, syntax), run in runs:
            run_headers = list(run)
            some = islice(streams, len(run_headers))
            if who.way == "process":
                frames = _by_gdcm(some, syntax, decoder)
            elif who.way in ("fragments", "deflated"):
                frames = _plain(some, cine, deflated=who.way == "deflated")
            elif who.way == "jpeg-xl":
                frames = map(decode_xl, some)
            else:
                frames = _by_pydicom(some, syntax, who.plugin, cine.header)
            for header, words in zip(run_headers, frames, strict=True):
                yield values_of(words, header, instance, cine, clamped)


def _by_gdcm(streams: Iterator[bytes], syntax: str, decoder: JpegDecoder) -> Iterator[StoredFrame]:
    """JPEG; samples of up to 8 bits come in one byte, others in two, as the stream itself says."""
    for head, values in decoder.decode(streams, syntax, signed=False):
        yield words_of(head, values)


def words_of(head: FrameHeader, values: bytes) -> StoredFrame:
    """What GDCM gave back of one frame, (rows, columns)."""
    dtype = np.dtype(f"u{head.nbytes // (head.rows * head.columns)}")
    return np.frombuffer(values, dtype).reshape(head.rows, head.columns)


def _plain(streams: Iterator[bytes], cine: Cine, *, deflated: bool) -> Iterator[StoredFrame]:
    """Uncompressed frames, each in fragments of its own, or deflated by itself."""
    for stream in streams:
        content = inflated_frame(stream, frame_bytes(cine)) if deflated else stream
        yield frame_of_bytes(content, (cine.rows, cine.columns), int(cine.header.BitsAllocated) // 8)


def _by_pydicom(streams: Iterator[bytes], syntax: UID, plugin: str, ds: Dataset) -> Iterator[StoredFrame]:
    """JPEG-LS, JPEG 2000, HTJ2K and RLE: each stream by itself, whatever the file's offset tables say."""
    decoder = get_decoder(syntax)
    options: dict[str, Any] = {
        "decoding_plugin": plugin,
        "correct_unused_bits": False,  # they are bits of value here
        "number_of_frames": 1,
        "rows": ds.Rows,
        "columns": ds.Columns,
        "samples_per_pixel": 1,
        "bits_allocated": ds.BitsAllocated,
        "bits_stored": ds.BitsStored,
        "pixel_representation": ds.get("PixelRepresentation", 0),
        "photometric_interpretation": ds.PhotometricInterpretation,
        "pixel_keyword": "PixelData",
    }
    for stream in streams:
        words, _ = decoder.as_array(encapsulate([stream], has_bot=False), index=0, raw=True, **options)
        yield words


def values_of(
    words: StoredFrame, header: StreamHeader | None, instance: Instance, cine: Cine, clamped: Clamped
) -> StoredFrame:
    """Decoded words as values of Bits Stored.

    RLE and deflated frames give back words as they were; so does a lossless stream in whose words an overlay
    is said to lie.
    """
    ds = cine.header
    inside = instance.overlay_in_pixels and header is not None and not header.loses
    if header is None or inside:
        return _unused_bits_off(words, cine)
    signed = bool(ds.get("PixelRepresentation"))
    values, beyond = in_range(words, header.precision, int(ds.BitsStored), signed=signed)
    clamped.add(beyond, header.precision)
    return values
