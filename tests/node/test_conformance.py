"""docs/conformance.md beside what happens on the wire: every row of its tables is negotiated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import UID, CTImageStorage, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context

from casgan_dicom.node.client.results import classify
from tests.node.listening import Listening, listening

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
VERIFICATION = UID("1.2.840.10008.1.1")


def rows_of(name: str) -> list[list[str]]:
    """Cells of a table of the page, without its head."""
    (block,) = re.findall(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    lines = re.findall(r"^\| (.+) \|$", block, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines[1:]]


CLASSES = [UID(uid) for _, uid in rows_of("accepted-classes")]
SYNTAXES = [UID(uid) for _, uid in rows_of("accepted-syntaxes")]
COMMITMENT = UID("1.2.840.10008.1.20.1")
STORAGE = [uid for uid in CLASSES if uid not in (VERIFICATION, COMMITMENT)]


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("data")) as running:
        yield running


def negotiated(port: int, contexts: Sequence[tuple[str, Sequence[str]]]) -> list[str | None]:
    """What a foreign requestor is told for each context: the transfer syntax, or None for a refusal."""
    ae = AE("MODALITY")
    wanted = [build_context(sop_class, [*syntaxes]) for sop_class, syntaxes in contexts]
    assoc = ae.associate("127.0.0.1", port, contexts=wanted, ae_title="CASGAN")
    assert assoc.is_established
    try:
        answers = {context.context_id: context.transfer_syntax[0] for context in assoc.accepted_contexts}
    finally:
        assoc.release()
    return [answers.get(2 * k + 1) for k in range(len(wanted))]


def test_every_storage_class_of_the_page_is_accepted_in_every_transfer_syntax_of_the_page(
    listener: Listening,
) -> None:
    pairs = [(sop_class, syntax) for sop_class in STORAGE for syntax in SYNTAXES]
    assert len(pairs) == 7 * 18  # at most 128 go into one association

    answers = negotiated(listener.port, [(sop_class, [syntax]) for sop_class, syntax in pairs])

    assert answers == [syntax for _, syntax in pairs]


@pytest.mark.parametrize("first", range(len(SYNTAXES)))
def test_of_several_transfer_syntaxes_the_first_of_the_page_is_taken(listener: Listening, first: int) -> None:
    offered = SYNTAXES[: first - 1 : -1] if first else SYNTAXES[::-1]

    answers = negotiated(listener.port, [(sop_class, offered) for sop_class in STORAGE])

    assert answers == [SYNTAXES[first]] * len(STORAGE)


def test_verification_is_accepted_in_the_transfer_syntaxes_that_the_page_names(listener: Listening) -> None:
    named = [uid for uid in SYNTAXES if not uid.is_encapsulated]

    answers = negotiated(listener.port, [(VERIFICATION, [syntax]) for syntax in SYNTAXES])

    assert len(named) == 4
    assert answers == [syntax if syntax in named else None for syntax in SYNTAXES]


def test_commitment_is_accepted_in_the_transfer_syntaxes_that_the_page_names(listener: Listening) -> None:
    named = [UID("1.2.840.10008.1.2.1"), ImplicitVRLittleEndian]

    answers = negotiated(listener.port, [(COMMITMENT, [syntax]) for syntax in SYNTAXES])

    assert "storage commitment in Explicit\nand Implicit VR Little Endian" in PAGE
    assert answers == [syntax if syntax in named else None for syntax in SYNTAXES]


def test_what_the_page_does_not_list_is_refused(listener: Listening) -> None:
    mpeg = UID("1.2.840.10008.1.2.4.102")

    answers = negotiated(
        listener.port,
        [(CTImageStorage, [ImplicitVRLittleEndian]), (STORAGE[0], [mpeg]), (VERIFICATION, [SYNTAXES[1]])],
    )

    assert answers == [None, None, ImplicitVRLittleEndian]


def test_the_page_says_what_the_sender_does_with_each_status() -> None:
    """Statuses of PS3.4 B.2.3 and PS3.7 annex C, looked up in the page as a reader would."""
    actions = dict(rows_of("responses"))

    def action(status: int) -> str:
        for cell, text in actions.items():
            for low, high in re.findall(r"\b([0-9A-F]{4})(?:-([0-9A-F]{4}))?\b", cell):
                if int(low, 16) <= status <= int(high or low, 16):
                    return text
        return actions["every other status"]

    told = {
        "stored": "stored",
        "warning": "stored",
        "refused-now": "again",
        "refused": "a dead letter at once",
    }
    for status in (0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xBFFF, 0xA700, 0xA7FF, 0x0110):
        assert action(status).startswith(told[classify(status)]), f"{status:04X}"
    for status in (0x0213, 0xA900, 0xC000, 0x0122, 0x0124, 0x0211, 0xFFFF, 0xA800):
        assert action(status).startswith(told[classify(status)]), f"{status:04X}"
    assert action(0xA700).startswith("again")
    assert action(0xC000) == "a dead letter at once"


def test_the_page_lists_the_statuses_of_reception() -> None:
    """PS3.4 table B.2-1 and PS3.7 annex C name them; tests/node/receive/ shows when each is answered."""
    answered = ["0000", "A700", "A900", "C000", "0117", "0122", "0211", "0212"]
    assert [code for code, *_ in rows_of("store-responses")] == answered
