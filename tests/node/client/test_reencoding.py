"""Archives that do not take a file's own transfer syntax get the same values in one that they take."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    XRayAngiographicImageStorage,
)
from pynetdicom import AllStoragePresentationContexts

from casgan_dicom.errors import SeriesError
from casgan_dicom.node.client.reencoding import other_syntaxes, reencoded
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import store
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.fake_pacs import FakePacs

IMPLICIT, EXPLICIT = ImplicitVRLittleEndian, ExplicitVRLittleEndian


def _without_pixels(path: Path) -> str:
    ds = dcmread(path)
    for keyword in ("PixelData", "LossyImageCompression"):
        ds.pop(keyword, None)
    ds.remove_private_tags()  # Implicit VR does not tell their VR
    return str(ds.to_json())


def _odd(path: Path) -> Path:
    """A sequence, a private element and words as bytes: what an encoding changes."""
    ds = dcmread(path)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    item.private_block(0x0011, "TEST", create=True).add_new(1, "DS", "1.5")
    ds.ReferencedImageSequence = [item]
    ds.private_block(0x0099, "TEST", create=True).add_new(1, "SL", -7)
    ds.save_as(path)
    return path


@pytest.mark.parametrize("only", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize(
    "syntax",
    [
        IMPLICIT,
        EXPLICIT,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
        JPEGBaseline8Bit,
    ],
)
def test_values_stay_what_they_are(tmp_path: Path, syntax: UID, only: UID) -> None:
    bits = 8 if syntax == JPEGBaseline8Bit else 16
    path = write_xa(tmp_path / "a", moving_frames(3, bits=bits), syntax=syntax)
    if syntax != ExplicitVRBigEndian:  # pydicom writes none of it twice
        _odd(path)

    with reencoded(path, only) as other:
        assert dcmread(other).file_meta.TransferSyntaxUID == only
        assert _without_pixels(other) == _without_pixels(path)
        np.testing.assert_array_equal(dcmread(other).pixel_array, dcmread(path).pixel_array)
        if syntax != ExplicitVRBigEndian:
            assert dcmread(other)[0x00991001].value in (-7, struct.pack("<l", -7))
        lossy = dcmread(other).get("LossyImageCompression")
        assert lossy == ("01" if syntax == JPEGBaseline8Bit else None)
    assert not other.exists()


@pytest.mark.parametrize("syntax", [EXPLICIT, RLELossless, JPEGBaseline8Bit])
def test_archive_of_implicit_vr_only_gets_everything(tmp_path: Path, syntax: UID) -> None:
    path = write_xa(tmp_path / "a", syntax=syntax)
    accepts = [(XRayAngiographicImageStorage, [IMPLICIT])]
    results = list[StoreResult]()

    with FakePacs(accepts=accepts) as pacs:
        store(pacs.peer(), [path], results.append)
        (received,) = pacs.received

    assert [(each.path, each.outcome) for each in results] == [(path, "stored")]
    assert received.transfer_syntax == IMPLICIT
    value = pixel_array(path).tobytes()
    assert received.pixel_sha256 == hashlib.sha256(value).hexdigest()


def test_own_syntax_goes_before_any_other(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", syntax=RLELossless)
    with FakePacs() as pacs:
        store(pacs.peer(), [path], lambda _: None)

        assert [each.transfer_syntax for each in pacs.received] == [RLELossless]


def test_frames_that_cannot_be_decoded_are_named(tmp_path: Path) -> None:
    path = write_xa(tmp_path / "a", syntax=RLELossless)
    content = path.read_bytes()
    path.write_bytes(content[:-400] + b"\xff" * 400)

    with (
        pytest.raises(SeriesError, match="cannot be sent as Implicit VR Little Endian"),
        reencoded(path, IMPLICIT),
    ):
        pass


def test_nobody_re_encodes_what_nobody_knows() -> None:
    assert other_syntaxes(UID("1.2.3.4.5")) == ()
    assert other_syntaxes(EXPLICIT) == (IMPLICIT,)
    assert other_syntaxes(RLELossless) == (EXPLICIT, IMPLICIT)


def test_many_pairs_still_fit_into_one_association(tmp_path: Path) -> None:
    """Those of the files go first: others are offered as far as there is room."""
    classes = [context.abstract_syntax for context in AllStoragePresentationContexts[:100]]
    paths = [
        write_xa(tmp_path / f"{k}", SOPInstanceUID=uid(f"{k}"), SOPClassUID=sop_class)
        for k, sop_class in enumerate(classes)
    ]
    results = list[StoreResult]()
    accepts = [(str(sop_class), [EXPLICIT]) for sop_class in classes]

    with FakePacs(accepts=accepts) as pacs:
        store(pacs.peer(), paths, results.append)

    assert len(results) == 100
