"""docs/conformance.md beside what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.uid import UID
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from casgan_dicom.node.listener import TRANSFER_SYNTAXES, contexts
from casgan_dicom.node.scu import classify

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
UIDS = [UID(text) for text in re.findall(r"^\| [^|]+ \| (1\.2\.[\d.]+) \|$", PAGE, re.MULTILINE)]


def test_the_page_lists_the_sop_classes_and_transfer_syntaxes_that_are_accepted_in_order() -> None:
    said = {uid for uid in UIDS if not uid.is_transfer_syntax}

    assert said == {context.abstract_syntax for context in contexts()}
    assert [uid for uid in UIDS if uid.is_transfer_syntax] == list(TRANSFER_SYNTAXES)


def test_every_storage_class_is_accepted_in_every_syntax_that_the_page_lists() -> None:
    for context in contexts():
        if context.abstract_syntax != Verification:
            assert context.transfer_syntax == list(TRANSFER_SYNTAXES)


def test_the_page_says_what_the_sender_does_with_each_status() -> None:
    rows = dict(
        re.findall(r"^\| (0000, warn[^|]+|A7xx[^|]+|every other status) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    )
    stored, again, dead = rows
    stored_statuses = [int(text, 16) for text in re.findall(r"\b[0-9A-F]{4}\b", stored)]
    again_statuses = [int(text, 16) for text in re.findall(r"\b[0-9A-F]{4}\b", again)]

    assert {classify(status) for status in [*stored_statuses, 0xB000, 0xB007]} == {"stored", "warning"}
    assert {classify(status) for status in [*again_statuses, 0xA700, 0xA7FF]} == {"refused-now"}
    assert dead == "every other status"
    assert {classify(status) for status in (0xA900, 0xC000, 0x0122, 0x0124)} == {"refused"}
