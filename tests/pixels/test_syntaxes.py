"""The table of transfer syntaxes beside what each of its readers has always been told.

The lists here are written out, by UID and in full: they are the oracle, and no row is taken from the table.
"""

from __future__ import annotations

import pytest

from casgan_dicom.node.receive.listener import contexts
from casgan_dicom.pixels import syntaxes
from casgan_dicom.pixels.syntaxes import SYNTAXES, always_loses, decoder_name, decoder_of, lossy_method
from casgan_dicom.verification.pixel_rules import WRITTEN

TAKEN = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
]
DECODERS = {
    "1.2.840.10008.1.2": "numpy, frame by frame",
    "1.2.840.10008.1.2.1": "numpy, frame by frame",
    "1.2.840.10008.1.2.2": "numpy, frame by frame",
    "1.2.840.10008.1.2.8.1": "zlib, frame by frame",
    "1.2.840.10008.1.2.1.98": "numpy, frame by frame",
    "1.2.840.10008.1.2.1.99": "zlib, into a temporary file, then numpy",
    "1.2.840.10008.1.2.5": "pydicom, frame by frame",
    "1.2.840.10008.1.2.4.50": "GDCM, in a process of its own",
    "1.2.840.10008.1.2.4.51": "GDCM, in a process of its own",
    "1.2.840.10008.1.2.4.57": "GDCM, in a process of its own",
    "1.2.840.10008.1.2.4.70": "GDCM, in a process of its own",
    "1.2.840.10008.1.2.4.80": "CharLS (pyjpegls)",
    "1.2.840.10008.1.2.4.81": "CharLS (pyjpegls)",
    "1.2.840.10008.1.2.4.90": "OpenJPEG (pylibjpeg)",
    "1.2.840.10008.1.2.4.91": "OpenJPEG (pylibjpeg)",
    "1.2.840.10008.1.2.4.201": "OpenJPEG (pylibjpeg)",
    "1.2.840.10008.1.2.4.202": "OpenJPEG (pylibjpeg)",
    "1.2.840.10008.1.2.4.203": "OpenJPEG (pylibjpeg)",
    "1.2.840.10008.1.2.4.110": "libjxl (imagecodecs)",
    "1.2.840.10008.1.2.4.111": "libjxl (imagecodecs)",
    "1.2.840.10008.1.2.4.112": "libjxl (imagecodecs)",
}
LOSSY_METHODS = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
    "1.2.840.10008.1.2.4.111": "ISO_10918_1",
    "1.2.840.10008.1.2.4.112": "ISO_18181_1",
}
ALWAYS_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.111"}
JPEG_XL = {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"}
LIBRARIES = {
    "1.2.840.10008.1.2.4.50": "gdcm",
    "1.2.840.10008.1.2.4.51": "gdcm",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "charls",
    "1.2.840.10008.1.2.4.81": "charls",
    "1.2.840.10008.1.2.4.90": "openjpeg",
    "1.2.840.10008.1.2.4.91": "openjpeg",
    "1.2.840.10008.1.2.4.201": "openjpeg",
    "1.2.840.10008.1.2.4.202": "openjpeg",
    "1.2.840.10008.1.2.4.203": "openjpeg",
    **dict.fromkeys(JPEG_XL, "jpegxl_decode"),
}


@pytest.mark.parametrize("installed", [True, False])
def test_the_listener_takes_them_in_this_order_in_every_storage_class(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(syntaxes, "find_spec", lambda _: object() if installed else None)
    of_others = {"1.2.840.10008.1.1", "1.2.840.10008.1.20.1"}  # Verification, Storage Commitment Push Model
    found = contexts()
    storage = [context for context in found if context.abstract_syntax not in of_others]

    assert {context.abstract_syntax for context in found} > of_others
    assert storage
    wanted = [uid for uid in TAKEN if installed or uid not in JPEG_XL]
    assert all(context.transfer_syntax == wanted for context in storage)
    assert list(SYNTAXES) == TAKEN


def test_each_has_the_decoder_that_inspect_names() -> None:
    assert {uid: decoder_name(uid) for uid in SYNTAXES} == DECODERS


def test_what_another_maker_decodes_is_decoded_in_a_process_of_its_own() -> None:
    ways = {uid: decoder_of(uid).way for uid in SYNTAXES}

    assert {uid: decoder_of(uid).library for uid, way in ways.items() if way == "process"} == LIBRARIES
    assert {uid for uid, way in ways.items() if way == "inflated"} == {"1.2.840.10008.1.2.1.99"}
    assert {uid for uid, way in ways.items() if way == "pydicom"} == {"1.2.840.10008.1.2.5"}


def test_what_loses_has_its_method_and_nothing_else_has_one() -> None:
    assert {uid: method for uid in SYNTAXES if (method := lossy_method(uid))} == LOSSY_METHODS
    assert {uid for uid in SYNTAXES if always_loses(uid)} == ALWAYS_LOSSY
    assert {row.uid for row in SYNTAXES.values() if row.loss != "never"} == set(LOSSY_METHODS)


def test_what_is_verified_is_what_is_written() -> None:
    assert [uid for uid in WRITTEN if not uid.is_encapsulated] == ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
    assert {uid for uid in WRITTEN if uid.is_encapsulated} == {
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.50",
    }
