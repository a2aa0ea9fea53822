"""Stored frames out of files, one at a time, whatever the transfer syntax.

Frames stream, so memory does not grow with the run. What the file promises is checked against what comes out:
a stream that is cut short, holds another number of frames or frames of another size is an error, never a
shorter run.

Which bytes are a frame tell layout.py and native_layout.py, which decoder takes which transfer syntax
syntaxes.py; a stream of another kind than the syntax names is decoded as what it is. All decoders have free
licences; those of other makers run in a process of their own (decoder_process.py).
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
from casgan_dicom.pixels.decoder_process import DecodeError, DecoderProcess, Way
from casgan_dicom.pixels.layout import StreamLayout, holds_fragments, stream_layout
from casgan_dicom.pixels.native_layout import NativeLayout, native_file, native_layout
from casgan_dicom.pixels.pixel_data import content_of, frame_bytes, instance_error, part_of_value
from casgan_dicom.pixels.plain_streams import frame_of_bytes, inflated_frame
from casgan_dicom.pixels.rle import check_segments
from casgan_dicom.pixels.stored_values import Clamped, in_range, unmasked
from casgan_dicom.pixels.stream_faults import check_streams
from casgan_dicom.pixels.syntaxes import Decoder, decoding
from casgan_dicom.source.cine import Cine, Instance

StoredFrame = npt.NDArray[np.integer[Any]]
_SHORT_RLE_BYTES = 2**20
"""A stream of RLE as long as this takes 64 MiB at most, whatever it holds."""


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
    with DecoderProcess() as decoder:
        for instance, ds in zip(cine.instances, cine.headers, strict=True):
            yield from _checked_frames(instance, ds, cine, decoder, count)


def _checked_frames(
    instance: Instance, ds: Dataset, cine: Cine, decoder: DecoderProcess, clamped: Clamped
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
    instance: Instance, ds: Dataset, cine: Cine, decoder: DecoderProcess, clamped: Clamped
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
    except DecodeError as error:
        raise instance_error(instance, f"cannot be decoded ({error})") from error
    except Exception as error:  # decoders raise anything on a broken stream
        text = f"{type(error).__name__}: {first_line(error)}"
        raise instance_error(instance, f"cannot be decoded ({text})") from error


def _open_frames(
    instance: Instance, ds: Dataset, cine: Cine, decoder: DecoderProcess, clamped: Clamped
) -> Iterator[StoredFrame]:
    """The way that this file needs, after a look at where its frames lie."""
    if not instance.has_pixels:
        raise instance_error(instance, "PixelData (7FE0,0010) is absent")
    if not holds_fragments(instance):
        return _native_frames(instance, cine)
    layout = stream_layout(instance, ds)
    check_streams(instance, cine, layout.frames)
    return _decoded_frames(instance, cine, layout, (decoder, clamped))


def _native_frames(instance: Instance, cine: Cine) -> Iterator[StoredFrame]:
    """Uncompressed frames, of a deflated file too."""
    with native_file(instance, cine) as file:
        layout = native_layout(file, instance, cine)
        for k in range(instance.frames):
            yield _unused_bits_off(_native_frame(file, k, cine, layout), cine)


def _native_frame(file: BinaryIO, k: int, cine: Cine, layout: NativeLayout) -> StoredFrame:
    """Frame `k`, from 0, in words of this machine."""
    at, nbytes = k * layout.stride, frame_bytes(cine)
    content = part_of_value(file, layout.start, at, nbytes, swapped=layout.swapped)
    words = np.frombuffer(content, f"{'<' if layout.little else '>'}u{int(cine.header.BitsAllocated) // 8}")
    return words.reshape(cine.rows, cine.columns).astype(words.dtype.newbyteorder("="))


def _unused_bits_off(words: StoredFrame, cine: Cine) -> StoredFrame:
    """Uncompressed words as values; as they stand where their value is not in the lowest bits."""
    ds = cine.header
    signed = bool(ds.get("PixelRepresentation"))
    at_the_bottom = ds.get("HighBit") == ds.BitsStored - 1
    bits = int(ds.BitsStored) if at_the_bottom else int(ds.BitsAllocated)
    return unmasked(words, bits, signed=signed)


def _decoded_frames(
    instance: Instance, cine: Cine, layout: StreamLayout, tools: tuple[DecoderProcess, Clamped]
) -> Iterator[StoredFrame]:
    """Encapsulated frames; runs of streams of one kind go to their decoder together."""
    decoder, clamped = tools
    headers = [fragments[0].header for fragments in layout.frames]
    done = 0
    with instance.path.open("rb") as file:
        streams = (content_of(file, fragments) for fragments in layout.frames)
        runs = groupby(headers, lambda header: decoding(instance.transfer_syntax, header))
        for (who, syntax), run in runs:
            run_headers = list(run)
            some = islice(streams, len(run_headers))
            if who.missing:
                raise PixelError(f"{who.name} is not installed: pip install 'casgan-dicom[codecs]'")
            if who.way == "process":
                frames = decoder.decode(some, _way(who, syntax, cine))
            elif who.way in ("fragments", "deflated"):
                frames = _plain(some, cine, deflated=who.way == "deflated")
            else:
                frames = _by_pydicom(some, syntax, cine.header)
            for header, words in zip(run_headers, _named(frames, who, done), strict=True):
                yield values_of(words, header, instance, cine, clamped)
            done += len(run_headers)


def _named(frames: Iterator[StoredFrame], who: Decoder, before: int) -> Iterator[StoredFrame]:
    """The same frames; what a decoder raises names it, and the frame, of which there were `before`."""
    number = before
    while True:
        number += 1
        try:
            words = next(frames, None)
        except PixelError as error:
            raise PixelError(f"frame {number}: {error.message}", hint=error.hint) from error
        except Exception as error:  # decoders raise anything on a broken stream
            said = str(error) if isinstance(error, DecodeError) else f"{type(error).__name__}: {_said(error)}"
            raise DecodeError(f"frame {number}, {who.name}: {said}") from error
        if words is None:
            return
        yield words


def _said(error: Exception) -> str:
    """What an error says: its first line, or the one below where that only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return first_line(Exception(lines[1] if len(lines) > 1 and lines[0].endswith(":") else str(error)))


def _way(who: Decoder, syntax: UID, cine: Cine) -> Way:
    """How frames are decoded in a process of their own. JPEG says nothing of signs, and has none."""
    signed = bool(cine.header.get("PixelRepresentation")) and who.library in ("openjpeg", "charls")
    return Way(who.library, str(syntax), (cine.rows, cine.columns), signed)


def _plain(streams: Iterator[bytes], cine: Cine, *, deflated: bool) -> Iterator[StoredFrame]:
    """Uncompressed frames, each in fragments of its own, or deflated by itself."""
    for stream in streams:
        content = inflated_frame(stream, frame_bytes(cine)) if deflated else stream
        yield frame_of_bytes(content, (cine.rows, cine.columns), int(cine.header.BitsAllocated) // 8)


def _by_pydicom(streams: Iterator[bytes], syntax: UID, ds: Dataset) -> Iterator[StoredFrame]:
    """RLE: each stream by itself, whatever the offset tables say.

    What the decoder takes in memory is at most 64 times the stream: a long one is looked through before.
    """
    decoder = get_decoder(syntax)
    options: dict[str, Any] = {
        "decoding_plugin": "pydicom",
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
        if len(stream) > _SHORT_RLE_BYTES:
            check_segments(stream, ds.Rows * ds.Columns)
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
    if header is None or header.kind == "RLE" or inside:
        return _unused_bits_off(words, cine)
    signed = bool(ds.get("PixelRepresentation"))
    values, beyond = in_range(words, header.precision, int(ds.BitsStored), signed=signed)
    clamped.add(beyond, header.precision)
    return values
