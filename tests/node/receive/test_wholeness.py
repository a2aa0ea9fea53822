"""What is acknowledged can be read: data sets in another syntax than that of their context, or cut short."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from casgan_dicom.node.receive import wholeness
from tests.node.listening import Listening, check_spool, data_set, data_set_of
from tests.node.wire import ECHO_CONTEXT, EXPLICIT, IMPLICIT, VERIFICATION, XA, XA_CONTEXT, Wire
from tests.support.factories import moving_frames, uid, write_xa

BIG, DEFLATED = str(ExplicitVRBigEndian), str(DeflatedExplicitVRLittleEndian)
RLE, JPEG, JPEG_LS, J2K = (str(s) for s in (RLELossless, JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless))


@pytest.mark.parametrize(
    ("written", "context", "named"),
    [
        (IMPLICIT, EXPLICIT, "Implicit VR Little Endian"),
        (EXPLICIT, IMPLICIT, "Explicit VR Little Endian"),
        (BIG, EXPLICIT, "Explicit VR Big Endian"),
        (DEFLATED, EXPLICIT, "Deflated Explicit VR Little Endian"),
        (EXPLICIT, DEFLATED, "Explicit VR Little Endian"),
        (IMPLICIT, JPEG, "Implicit VR Little Endian"),
        (EXPLICIT, JPEG, "native"),
        (EXPLICIT, RLE, "native"),
        (JPEG_LS, EXPLICIT, "encapsulated"),
        (RLE, IMPLICIT, "Explicit VR Little Endian"),
        (RLE, JPEG, "RLE Lossless"),
        (RLE, J2K, "RLE Lossless"),
    ],
)
def test_data_set_in_another_syntax_than_its_context_is_refused_by_name(
    running: Listening, folder: Path, written: str, context: str, named: str
) -> None:
    content = data_set_of(write_xa(folder / "made", syntax=written))

    contexts = {ECHO_CONTEXT: (VERIFICATION, [IMPLICIT]), XA_CONTEXT: (XA, [context])}
    with Wire.associated(running.port, contexts=contexts) as wire:
        reply = wire.store(XA, uid("instance"), content)

        assert reply.status == 0xC000
        assert named in reply.comment
        assert wire.echo() == 0
    (row,) = running.rows("quarantine")
    assert data_set_of(Path(row["path"])) == content
    assert named in row["reason"]
    assert UID(context).name in row["reason"] or context in (JPEG, J2K)
    assert running.files() == []


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, RLE, JPEG])
def test_data_set_that_is_cut_short_is_refused(running: Listening, folder: Path, syntax: str) -> None:
    """The last byte is missing, a part of the pixels, all of them, a part of the header, or most of it."""
    content = data_set_of(write_xa(folder / "made", moving_frames(3), syntax=syntax))
    tag = b"\x7f\xe0\0\x10" if syntax == BIG else b"\xe0\x7f\x10\0"
    pixels = content.index(tag)

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [syntax])}) as wire:
        for length in (len(content) - 1, len(content) - 500, pixels + 7, pixels, pixels - 3, 300):
            assert wire.store(XA, uid("instance"), content[:length]).status == 0xC000, length

    assert running.rows() == []


def test_fewer_pixels_than_the_header_promises_are_refused(running: Listening, folder: Path) -> None:
    content = data_set(folder, NumberOfFrames=5)

    with Wire.associated(running.port) as wire:
        reply = wire.store(XA, uid("instance"), content)

    assert reply.status == 0xC000
    assert reply.comment == "PixelData (7FE0,0010) has 20480 bytes, the header promises 25600"


@pytest.mark.parametrize("group", [0x0000, 0x0002, 0x0004, 0x0006])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_elements_that_belong_to_no_data_set_are_refused(
    running: Listening, folder: Path, syntax: str, group: int
) -> None:
    """Readers take them for a command, or for File Meta Information of the file that they lie in."""
    content = data_set_of(write_xa(folder / "made", syntax=syntax))
    order = ">" if syntax == BIG else "<"
    tag = struct.pack(f"{order}HH", group, 0x0100)
    alien = (
        tag + (struct.pack("<I", 2) if syntax == IMPLICIT else b"US" + struct.pack(f"{order}H", 2)) + b"\1\0"
    )
    contexts = {ECHO_CONTEXT: (VERIFICATION, [IMPLICIT]), XA_CONTEXT: (XA, [syntax])}
    with Wire.associated(running.port, contexts=contexts) as wire:
        reply = wire.store(XA, uid("instance"), alien + content)

        assert reply.status == 0xC000
        assert f"group {group:04X}" in reply.comment
        assert wire.store(XA, uid("instance"), content).status == 0
    assert len(running.files()) == 1


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, JPEG, JPEG_LS, J2K])
def test_what_is_as_it_says_is_taken(running: Listening, folder: Path, syntax: str) -> None:
    odd = {"Rows": None}, {"DataSetTrailingPadding": bytes(100)}
    contents = [data_set_of(write_xa(folder / "made", syntax=syntax, **each)) for each in odd]

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [syntax])}) as wire:
        assert [wire.store(XA, uid("instance"), content).status for content in contents] == [0, 0]

    assert check_spool(running.layout) == 2


@pytest.mark.parametrize("short", [1, 20, 0.5])
def test_deflated_data_set_that_is_cut_short_is_refused(
    running: Listening, folder: Path, short: float
) -> None:
    content = data_set_of(write_xa(folder / "made", moving_frames(3), syntax=DEFLATED)).rstrip(b"\0")
    length = int(len(content) * short) if short < 1 else len(content) - int(short)

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [DEFLATED])}) as wire:
        reply = wire.store(XA, uid("instance"), content[:length])

    assert (reply.status, reply.comment) == (0xC000, "the deflated data set is cut short")
    assert running.rows() == []


@pytest.mark.parametrize("syntax", [DEFLATED, RLE, JPEG, JPEG_LS, J2K])
def test_fewer_frames_than_the_header_promises_are_refused_in_every_encoding(
    running: Listening, folder: Path, syntax: str
) -> None:
    path = write_xa(folder / "made", moving_frames(4), syntax=syntax)
    promising = dcmread(path)
    promising.NumberOfFrames = 5
    promising.save_as(path)

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [syntax])}) as wire:
        reply = wire.store(XA, uid("instance"), data_set_of(path))

    assert reply.status == 0xC000
    assert "the header promises" in reply.comment
    assert running.rows() == []


def test_what_inflates_without_end_is_refused(
    running: Listening, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = data_set_of(write_xa(folder / "made", moving_frames(3), syntax=DEFLATED))
    monkeypatch.setattr(wholeness, "LONGEST_INFLATED", 10_000)

    with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [DEFLATED])}) as wire:
        reply = wire.store(XA, uid("instance"), content)

    assert (reply.status, reply.comment) == (0xC000, "inflates to more than 10000 bytes")


@pytest.mark.parametrize("name", ["JPEG", "JPEG_LS", "J2K"])
def test_stream_of_another_kind_that_says_which_it_is_is_taken(
    running: Listening, folder: Path, name: str
) -> None:
    """It is read as what it is, so it is not lost."""
    written = {"JPEG": JPEG, "JPEG_LS": JPEG_LS, "J2K": J2K}
    content = data_set_of(write_xa(folder / "made", syntax=written.pop(name)))

    for k, context in enumerate([RLE, *written.values()]):
        with Wire.associated(running.port, contexts={XA_CONTEXT: (XA, [context])}) as wire:
            assert wire.store(XA, uid("instance"), content).status == 0
        assert len(running.rows()) == k + 1
