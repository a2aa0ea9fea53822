"""Good files of every kind, made wrong in one or two places, the same for the same seed."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from pydicom import config, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedXRFImageStorage,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.encoders import with_streams
from tests.support.enhanced_factory import window, write_enhanced
from tests.support.factories import moving_frames, write_xa, write_xa_single_frames
from tests.support.htj2k_streams import LOSSLESS_12

Bytes = Callable[[bytes, random.Random], bytes]
Edit = Callable[[Dataset, random.Random], str]

ITEM = b"\xfe\xff\x00\xe0"
ODD_SHORTS = (0, 1, 2, 7, 8, 9, 12, 16, 32, 63, 64, 65, 79, 80, 4096, 4097, 32767, 32768, 65535)
ODD_LONGS = (0, 1, 2, 6, 7, 100, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
ODD_TEXTS = (
    b"", b"0", b"1", b"-1", b"3", b"5", b"1e9", b"1e-9", b"1e400", b"nan", b"inf", b"-0.0",
    b"2147483647", b"x",
    b"99999999999999999999", b"4\\4", b"33\\33\\33", b"0\\33\\33\\33", b"\x00", b"\xff\xfe", b"YES",
    b"SUB", b"LOG",
    b"INVERSE", b"MONOCHROME1", b"PALETTE COLOR", b"RGB", b"SIGMOID", b"CIRCULAR\\RECTANGULAR",
    b"-32768\\32767",
)  # fmt: skip
NUMBERS = (
    "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SamplesPerPixel", "FrameTime", "FrameTimeVector", "CineRate", "WindowCenter", "WindowWidth",
    "VOILUTFunction",
    "RescaleSlope", "RescaleIntercept", "PhotometricInterpretation", "PixelIntensityRelationship",
    "LUTDescriptor",
    "LUTData", "ShutterShape", "ShutterLeftVerticalEdge", "CenterOfCircularShutter",
    "RadiusOfCircularShutter",
    "PlanarConfiguration", "AcquisitionTime", "InstanceNumber", "FrameIncrementPointer",
    "PositionerPrimaryAngle",
    "LossyImageCompressionRatio", "PixelSpacing", "FrameAcquisitionDateTime", "SpecificCharacterSet",
    "SeriesInstanceUID", "SOPClassUID", "ImageType", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip


def write_good_files(folder: Path) -> None:
    """One folder for each kind, with one run in it."""
    run8, run12 = moving_frames(4), moving_frames(4, bits=12)
    plain = {"BitsStored": 12, "WindowCenter": 1800, "WindowWidth": 2000}
    write_xa(folder / "raw8" / "a", run8)
    write_xa(folder / "raw12" / "a", run12, **plain)
    write_xa(folder / "signed" / "a", run12.astype(np.int16) - 2048, BitsStored=12)
    for name, syntax in (
        ("implicit", ImplicitVRLittleEndian),
        ("big", ExplicitVRBigEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
        ("rle", RLELossless),
        ("jpegls", JPEGLSLossless),
        ("j2k", JPEG2000Lossless),
    ):
        write_xa(folder / name / "a", run12, syntax=syntax, **plain)
    write_xa(folder / "jpeg" / "a", run8, syntax=JPEGBaseline8Bit)
    (folder / "htj2k").mkdir()
    with_streams(folder / "htj2k" / "a", moving_frames(2, bits=12), LOSSLESS_12, HTJ2KLossless, 12)
    write_xa(folder / "shutters" / "a", run8, VOILUTSequence=[_lut()], **_SHUTTERS)
    write_enhanced(folder / "enhanced" / "a", run8)
    write_enhanced(
        folder / "enhanced-frames" / "a",
        run12,
        BitsStored=12,
        SOPClassUID=EnhancedXRFImageStorage,
        per_frame=lambda k: {"FrameVOILUTSequence": window(1500 + 100 * k, 2000)},
    )
    write_xa_single_frames(folder / "single", run8)


_SHUTTERS: Mapping[str, object] = {
    "ShutterShape": ["RECTANGULAR", "CIRCULAR"],
    "ShutterLeftVerticalEdge": 3,
    "ShutterRightVerticalEdge": 70,
    "ShutterUpperHorizontalEdge": 2,
    "ShutterLowerHorizontalEdge": 60,
    "CenterOfCircularShutter": [32, 40],
    "RadiusOfCircularShutter": 30,
}


def _lut() -> Dataset:
    """A VOI LUT of 256 entries."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 0, 8])
    item.add_new("LUTData", "US", list(range(256)))
    return item


def write_case(good: Path, seed: int, folder: Path) -> str:
    """Write the files of a case and say what was done to which kind."""
    chance = random.Random(seed)
    kind = chance.choice(sorted(path.name for path in good.iterdir()))
    files = sorted((good / kind).iterdir())
    target = chance.choice(files)
    content, done = target.read_bytes(), []
    for _ in range(chance.choice([1, 1, 1, 2])):
        name, content = _mutated(content, chance)
        done.append(name)
    folder.mkdir()
    for path in files:
        (folder / path.name).write_bytes(content if path == target else path.read_bytes())
    return f"{kind}: {', '.join(done)}"


def _mutated(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A file changed in its bytes, or in its elements where they can still be read."""
    if chance.random() < 0.5:
        edit = chance.choice(_EDITS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ds = dcmread(io.BytesIO(content))
                name = edit(ds, chance)
                return name, _written(ds)
            except Exception:  # what an earlier mutation left cannot be read or written: change its bytes
                pass
    change = chance.choice(_CHANGES)
    return change.__name__.strip("_"), change(content, chance)


def _written(ds: Dataset) -> bytes:
    """The file of a data set, whatever nonsense it holds."""
    stream = io.BytesIO()
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        dcmwrite(stream, ds, enforce_file_format=False)
    finally:
        config.settings.writing_validation_mode = before
    return stream.getvalue()


def _header_end(content: bytes) -> int:
    """Where Pixel Data begin, as far as a search tells; else the end."""
    found = [at for tag in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10") if (at := content.rfind(tag)) > 0]
    return min(found, default=len(content))


def _flip_header(content: bytes, chance: random.Random) -> bytes:
    return _flipped(content, range(132, max(_header_end(content), 134)), chance)


def _flip_pixels(content: bytes, chance: random.Random) -> bytes:
    return _flipped(content, range(min(_header_end(content), len(content) - 1), len(content)), chance)


def _flip_near_item(content: bytes, chance: random.Random) -> bytes:
    """In the tag, the length or the first bytes of an item, of pixels or of a sequence."""
    starts = list(_places(content, ITEM)) or [_header_end(content)]
    start = min(chance.choice(starts), len(content) - 1)
    return _flipped(content, range(start, min(start + chance.choice([8, 40, 90]), len(content))), chance)


def _flipped(content: bytes, where: range, chance: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.choice(where)
        if at < len(out):
            out[at] = chance.choice([out[at] ^ (1 << chance.randrange(8)), 0, 0xFF, chance.randrange(256)])
    return bytes(out)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.choice([1, 2, 4, 100])) + content[at:]


def _delete(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.choice([1, 2, 4, 100]) :]


def _lengthen(content: bytes, chance: random.Random) -> bytes:
    """Another length of an item or a sequence, or of Pixel Data."""
    places = [*_places(content, ITEM), *_places(content, b"SQ\x00\x00"), _header_end(content) + 4]
    at = chance.choice(places) + 4
    order = "<" if chance.random() < 0.9 else ">"
    return content[:at] + struct.pack(order + "I", chance.choice(ODD_LONGS)) + content[at + 4 :]


def _short_length(content: bytes, chance: random.Random) -> bytes:
    """Another length of an element of the header with explicit VR."""
    vr = chance.choice([b"US", b"IS", b"DS", b"CS", b"UI", b"LO", b"FD", b"AT"])
    places = list(_places(content, vr)) or [140]
    at = chance.choice(places) + 2
    return content[:at] + struct.pack("<H", chance.choice(ODD_SHORTS)) + content[at + 2 :]


def _places(content: bytes, what: bytes) -> Iterator[int]:
    at = content.find(what)
    while at >= 0:
        yield at
        at = content.find(what, at + 1)


def _number(ds: Dataset, chance: random.Random) -> str:
    """Another value of an element that something depends on, as bytes that no writer would check."""
    keyword = chance.choice(NUMBERS)
    holders = [each for each in _data_sets(ds) if keyword in each]
    holder = chance.choice(holders) if holders and chance.random() < 0.9 else ds
    known = keyword in holder and not isinstance(holder[keyword].VR, type(None))
    vr = str(holder[keyword].VR if known else dictionary_VR(Tag(keyword))).split(" ")[0]
    value = _odd_value(vr, ds, chance)
    _put_raw(holder, keyword, vr, value, ds)
    return f"{keyword} = {value[:12]!r}"


def _odd_value(vr: str, ds: Dataset, chance: random.Random) -> bytes:
    order = "<" if ds.original_encoding[1] is not False else ">"
    count = chance.choice([1, 1, 1, 0, 2, 3])
    if vr in ("US", "SS", "OW"):
        return b"".join(struct.pack(order + "H", chance.choice(ODD_SHORTS)) for _ in range(count))
    if vr in ("UL", "SL", "AT", "OV", "FL"):
        return b"".join(struct.pack(order + "I", chance.choice(ODD_LONGS)) for _ in range(count))
    if vr == "FD":
        return b"".join(
            struct.pack(order + "d", chance.choice([0, -1, 1e308, np.inf, np.nan])) for _ in range(count)
        )
    text = chance.choice(ODD_TEXTS)
    return text + b" " * (len(text) % 2)


def _put_raw(holder: Dataset, keyword: str, vr: str, value: bytes, ds: Dataset) -> None:
    tag = Tag(keyword)
    implicit, little = ds.original_encoding
    holder[tag] = RawDataElement(tag, vr, len(value), value, 0, bool(implicit), little is not False, True)


def _data_sets(ds: Dataset) -> list[Dataset]:
    """A data set and all items within."""
    found = [ds]
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                found += _data_sets(item)
    return found


def _other_syntax(ds: Dataset, chance: random.Random) -> str:
    """Another transfer syntax in the file meta information; the data set stays as it is written."""
    syntax = chance.choice(SYNTAXES)
    _put_raw(ds.file_meta, "TransferSyntaxUID", "UI", syntax + b"\x00" * (len(syntax) % 2), ds.file_meta)
    return f"syntax {syntax.decode()}"


SYNTAXES = tuple(
    f"1.2.840.10008.1.2{end}".encode()
    for end in (
        "", ".1", ".2", ".1.99", ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91",
        ".4.201", ".4.203", ".4.100", ".1.98", ".9",
    )
)  # fmt: skip


def _remove(ds: Dataset, chance: random.Random) -> str:
    holder = chance.choice([each for each in _data_sets(ds) if len(each)])
    tag = chance.choice(list(holder.keys()))
    del holder[tag]
    return f"without {tag}"


def _drop_or_repeat_item(ds: Dataset, chance: random.Random) -> str:
    """A sequence with fewer or many more items."""
    sequences = [e for each in _data_sets(ds) for e in each if e.VR == "SQ" and len(e.value)]
    if not sequences:
        return _number(ds, chance)
    element = chance.choice(sequences)
    items = list(element.value)
    element.value = items * chance.choice([2, 40]) if chance.random() < 0.5 else items[1:]
    return f"{len(element.value)} items in {element.tag}"


def _nest(content: bytes, chance: random.Random) -> bytes:
    """A sequence in a sequence in a sequence, at the end of the header."""
    depth, end = chance.choice([2, 30, 100, 300, 3000]), _header_end(content)
    tag = struct.pack("<HH", 0x0028, 0x3010)
    opened = (tag + b"SQ\x00\x00" + b"\xff" * 4 + ITEM + b"\xff" * 4) * depth
    closed = (b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)) * depth
    return content[:end] + opened + closed[: chance.choice([len(closed), len(closed), 16])] + content[end:]


def _twice(content: bytes, chance: random.Random) -> bytes:
    """A piece of the header twice, elements and all."""
    end = _header_end(content)
    vrs = [at - 4 for vr in (b"US\x02\x00", b"IS", b"CS", b"DS") for at in _places(content[:end], vr)]
    start = max(0, chance.choice(vrs or [140]))
    stop = start + chance.choice([10, 10, 12, 60])
    return content[:stop] + content[start:stop] + content[stop:]


def _undefined(ds: Dataset, chance: random.Random) -> str:
    """Sequences and their items without a length."""
    for each in _data_sets(ds):
        for element in each:
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    return f"undefined lengths, {_number(ds, chance)}"


_CHANGES: tuple[Bytes, ...] = (
    _flip_header, _flip_header, _flip_pixels, _flip_near_item, _flip_near_item, _cut, _insert, _delete,
    _lengthen,
    _short_length, _twice, _nest,
)  # fmt: skip
_EDITS: tuple[Edit, ...] = (
    _number, _number, _number, _number, _number, _other_syntax, _remove, _drop_or_repeat_item, _undefined,
)  # fmt: skip
