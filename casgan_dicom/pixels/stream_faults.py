"""What makes an encoded stream one that is not decoded, beside the header of its file."""

from __future__ import annotations

from collections.abc import Sequence

from casgan_dicom.pixels.codestream import StreamHeader
from casgan_dicom.pixels.pixel_data import Fragment, frame_bytes, instance_error
from casgan_dicom.pixels.syntaxes import decoder_of
from casgan_dicom.source.cine import Cine, Instance
from casgan_dicom.source.transfer_syntaxes import UNCOMPRESSED_FRAMES
from casgan_dicom.uids import uid_name

_MOST_BITS = 16
_ENDING = ("JPEG-LS", "JPEG 2000", "HTJ2K")
_END_OF_IMAGE, _TAIL = b"\xff\xd9", 64
"""What ends a stream, which no data within it may hold, and within how many bytes padding may follow."""

LONGEST_STREAM, SLACK_BYTES = 4, 2**20
"""An encoded frame has at most so many times the bytes of the frame itself, and these besides.

No encoder needs twice as many; what has more holds something else, or work without end for a decoder.
"""


def check_streams(instance: Instance, cine: Cine, frames: Sequence[Sequence[Fragment]]) -> None:
    """Raise PixelError if a stream is none that may be decoded: of another size than the header's, above all.

    A few bytes may say that they are an image of many gigabytes, and a decoder believes them. `frames` are
    the fragments of each frame.
    """
    has_header = decoder_of(instance.transfer_syntax).way == "process"
    most = LONGEST_STREAM * frame_bytes(cine) + SLACK_BYTES
    for number, fragments in enumerate(frames, 1):
        header, length = fragments[0].header, sum(fragment.length for fragment in fragments)
        if length > most:
            fault = f"a frame of {frame_bytes(cine)} bytes is encoded in {length}"
        elif header is not None:
            fault = _fault_of_words(header, cine) if header.kind == "RLE" else _fault_of(header, cine)
        elif instance.transfer_syntax == UNCOMPRESSED_FRAMES:
            fault = _fault_of_length(length, frame_bytes(cine))
        elif has_header and not fragments[0].begins:
            fault = f"frame {number} begins like no stream of {uid_name(instance.transfer_syntax)}"
        else:
            fault = ""
        if fault:
            raise instance_error(instance, fault)
    _check_ends(instance, frames)


def _check_ends(instance: Instance, frames: Sequence[Sequence[Fragment]]) -> None:
    """Raise PixelError if a stream that no decoder takes without its end has none: it was cut short."""
    with instance.path.open("rb") as file:
        for number, fragments in enumerate(frames, 1):
            header, last = fragments[0].header, fragments[-1]
            if header is None or header.kind not in _ENDING:
                continue
            file.seek(last.start + max(0, last.length - _TAIL))
            if _END_OF_IMAGE not in file.read(min(last.length, _TAIL)):
                raise instance_error(
                    instance, f"frame {number} is cut short: its {header.kind} stream has no end"
                )


def _fault_of_words(header: StreamHeader, cine: Cine) -> str:
    """The same of RLE, which says nothing but how many bytes its words have."""
    wanted = cine.header.BitsAllocated
    found = f"frames are encoded in {header.precision // 8} segments of a byte"
    return "" if header.precision == wanted else f"{found}, BitsAllocated (0028,0100) says {wanted}"


def _fault_of_length(found: int, wanted: int) -> str:
    """The same of an uncompressed frame in fragments, behind which a byte of padding may stand."""
    return "" if wanted <= found <= wanted + wanted % 2 else f"a frame has {found} bytes, {wanted} are wanted"


def _fault_of(header: StreamHeader, cine: Cine) -> str:
    """What is wrong about a stream beside the header of its file; empty where nothing is."""
    if header.boxed:
        return "frames are files of JP2, want the codestream alone (PS3.5 A.4.4)"
    if not header.rows or not header.columns:
        return "frames do not say their size where they begin"
    if (header.rows, header.columns) != (cine.rows, cine.columns):
        found = f"{header.rows} × {header.columns}"
        return f"frames are encoded as {found}, Rows × Columns say {cine.rows} × {cine.columns}"
    if header.components != 1:
        return f"frames are encoded with {header.components} components, SamplesPerPixel (0028,0002) says 1"
    stored = cine.header.BitsStored
    if header.precision > _MOST_BITS or (header.kind == "JPEG" and header.precision < stored):
        return f"frames are encoded with {header.precision} bits, BitsStored (0028,0101) says {stored}"
    return ""
