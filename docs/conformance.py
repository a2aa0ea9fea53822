"""The tables of the conformance statement, written by the code that they are about.

``docs/conformance.md`` holds the prose. Between ``<!-- table: name -->`` and ``<!-- end -->`` stands what
this module makes: names of SOP classes and transfer syntaxes, status codes, attributes of created instances.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pydicom.uid import UID, KeyObjectSelectionDocumentStorage
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from casgan_dicom.node import commitment
from casgan_dicom.node.certificates import TlsFiles
from casgan_dicom.node.client.query import STUDY_ROOT_FIND
from casgan_dicom.node.client.results import Outcome, classify
from casgan_dicom.node.client.retrieve import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from casgan_dicom.node.receive import commands, reception, store_answer
from casgan_dicom.node.receive.listener import STORAGE_CLASSES
from casgan_dicom.node.tls import server_context
from casgan_dicom.pixels.compress import Compression
from casgan_dicom.pixels.syntaxes import SYNTAXES
from docs.iods import Described, common_table, described, own_table

_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_VERIFICATION, _COMMITMENT = UID("1.2.840.10008.1.1"), UID(commitment.PUSH_MODEL)
_RETRIEVING = (STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
_COMPRESSIONS = (
    Compression(),
    Compression("rle"),
    Compression("jpegls"),
    Compression("j2k"),
    Compression("jpeg", 90),
)
_MEANINGS: Mapping[int, str] = {
    reception.SUCCESS: "the instance, or one with the same UID and the same bytes, is on the disk and in the "
    "ledger",
    reception.NO_ROOM: "no space, or less than `min_free_bytes`, or longer than `max_instance_bytes` (then "
    "the association is aborted as well): send it again later",
    reception.MISMATCH: "SOP class or SOP Instance UID of the data set are not those of the request; the "
    "bytes are in quarantine",
    reception.NOT_UNDERSTOOD: "the data set cannot be read, is in another transfer syntax than its context, "
    "is cut short, or has no Study, Series or SOP Instance UID that is one; the bytes are in quarantine",
    commands.INVALID_INSTANCE: "Affected SOP Instance UID of the request is absent or too long for a UID",
    commands.NO_SUCH_CLASS: "Affected SOP Class UID of the request is absent, or not that of the context",
    commands.UNRECOGNIZED: "any operation but C-STORE, C-ECHO, N-ACTION and N-EVENT-REPORT, or one that is "
    "not of the class of the context",
    commands.MISTYPED: "a data set where none belongs, or none where one does",
}
_WEB_REASONS: Mapping[int, str] = {
    reception.NO_ROOM: "no space, or less than `min_free_bytes`, or longer than `max_instance_bytes`",
    reception.MISMATCH: "SOP class or SOP Instance UID of the data set are not those of its File Meta "
    "Information, or the study is not that of the path; the bytes are in quarantine",
    reception.NOT_UNDERSTOOD: "no DICOM file; or the data set cannot be read, is cut short, or has no Study, "
    "Series or SOP Instance UID that is one: then the bytes are in quarantine",
    store_answer.SYNTAX_NOT_SUPPORTED: "the transfer syntax is not one that is taken",
    store_answer.CLASS_NOT_SUPPORTED: "the SOP class is not one that is taken",
}
_OF_REQUESTS: Mapping[int, str] = {
    commitment.SUCCESS: "the request is on the disk and in the ledger; the report follows",
    commitment.INVALID_ARGUMENT: "the data set cannot be decoded, has no Transaction UID or no objects, or "
    "the same peer has used the Transaction UID for other objects",
    commitment.NO_SUCH_INSTANCE: "Requested SOP Instance UID is not the well-known one",
    commitment.NO_SUCH_ACTION: f"Action Type ID is not {commitment.REQUEST}",
    commitment.RESOURCES: f"more than {commitment.MOST_REFERENCES:,} objects; more than "
    f"{commitment.LONGEST_DATA_SET // 1024:,} KiB, then the association is aborted as well; or the request "
    "cannot be written down: ask again later",
}
_OF_REPORTS: Mapping[int, str] = {
    commitment.SUCCESS: "what the report says is written down, or changes nothing any more",
    commitment.PROCESSING_FAILURE: "no request of ours to this peer, by AE title and address, has that "
    "Transaction UID; or the report cannot be written down",
    commitment.NO_SUCH_INSTANCE: "Affected SOP Instance UID is not the well-known one",
    commitment.NO_SUCH_EVENT: f"Event Type ID is neither {commitment.ALL_KEPT} nor {commitment.SOME_FAILED}",
    commitment.INVALID_ARGUMENT: "the data set cannot be decoded, has no Transaction UID or no objects",
    commitment.RESOURCES: "longer than a request may be",
}
_REASONS: Mapping[int, str] = {
    commitment.NO_SUCH_INSTANCE: "the instance never came, or its file is not in the spool any more, whole: "
    "it was deleted, by hand or otherwise, also after it was converted and delivered",
    commitment.CLASS_CONFLICT: "the instance is of another SOP class",
}
_ACTIONS: Mapping[Outcome, str] = {
    "stored": "stored",
    "warning": "stored",
    "refused-now": "again, with a wait that doubles up to `longest_seconds`; a dead letter after "
    "`give_up_seconds`",
    "refused": "a dead letter at once",
}


def _always_read() -> list[UID]:
    """Transfer syntaxes that need no extra."""
    return [uid for uid, row in SYNTAXES.items() if not row.decoder.package]


def page(present: str) -> str:
    """The page with all its tables as they are now; ValueError if it has no place for one of them."""
    kinds = described()
    made = {
        "services": _services(kinds),
        "accepted-classes": _table(
            "SOP class | UID", map(_named, (_VERIFICATION, _COMMITMENT, *STORAGE_CLASSES))
        ),
        "accepted-syntaxes": _table("transfer syntax | UID", map(_named, _always_read())),
        "store-responses": _store_responses(),
        "web-reasons": _table("Failure Reason (0008,1197) | when", _when(_WEB_REASONS)),
        "commitment-requests": _table("status | when", _when(_OF_REQUESTS)),
        "commitment-reasons": _table("Failure Reason (0008,1197) | when", _when(_REASONS)),
        "commitment-reports": _table("status | when", _when(_OF_REPORTS)),
        "created-classes": _created_classes(kinds),
        "created-syntaxes": _created_syntaxes(),
        "responses": _responses(),
        "codes": _codes(kinds),
        "security": _security(),
        "common": common_table(kinds),
        "iods": "\n\n".join(f"#### {kind.title}\n\n{own_table(kind)}" for kind in kinds),
    }
    places = [name for _, name, _ in _BLOCK.findall(present)]
    if sorted(places) != sorted(made):
        raise ValueError(f"conformance statement has places for {places}, tables are {list(made)}")
    return _BLOCK.sub(lambda block: f"{block[1]}\n{made[block[2]]}\n\n{block[3]}", present)


def _table(head: str, lines: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; `head` holds the titles, with bars between."""
    rule = "|".join("---" for _ in head.split("|"))
    return "\n".join([f"| {head} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def _named(uid: UID) -> tuple[str, str]:
    """Name and UID."""
    return uid.name, str(uid)


def _services(kinds: Sequence[Described]) -> str:
    """Network services, PS3.2 A.1: who is user and who is provider."""
    sent = [
        _VERIFICATION,
        _COMMITMENT,
        *(kind.sop_class for kind in kinds),
        *_RETRIEVING,
        KeyObjectSelectionDocumentStorage,
    ]
    taken = [_VERIFICATION, _COMMITMENT, *STORAGE_CLASSES]
    return _table(
        "SOP class | UID | user (SCU) | provider (SCP)",
        (
            (*_named(uid), "yes" if uid in sent else "no", "yes" if uid in taken else "no")
            for uid in dict.fromkeys([*taken, *sent])
        ),
    )


def _store_responses() -> str:
    """What the listener answers, PS3.4 B.2.3."""
    return _table(
        "status | meaning in PS3.4 | when",
        ((f"{code:04X}", _of_standard(code), when) for code, when in _MEANINGS.items()),
    )


def _when(codes: Mapping[int, str]) -> Iterable[tuple[str, str]]:
    return ((f"{code:04X}", when) for code, when in codes.items())


def _of_standard(code: int) -> str:
    """Kind and name of a status."""
    kind, name = STORAGE_SERVICE_CLASS_STATUS[code]
    return f"{kind}: {name}" if name else kind


def _created_classes(kinds: Sequence[Described]) -> str:
    note = ("Note that withdraws objects (`withdraw`)", *_named(KeyObjectSelectionDocumentStorage))
    made = ((kind.title, *_named(kind.sop_class)) for kind in kinds)
    return _table("object | SOP class | UID", (*made, note))


def _created_syntaxes() -> str:
    def option(each: Compression) -> str:
        if each.name == "none":
            return "always, unless another is asked for"
        return f"`--{'lossy' if each.lossy_method else 'compress'} {each.name}`"

    return _table(
        "transfer syntax | UID | when", ((*_named(each.syntax), option(each)) for each in _COMPRESSIONS)
    )


def _responses() -> str:
    """What the sender does with each status that the standard names, and with those that it does not."""
    codes: dict[Outcome, list[int]] = {}
    for code in range(0x10000):
        codes.setdefault(classify(code), []).append(code)
    named: tuple[Outcome, ...] = ("stored", "warning", "refused-now")
    return _table(
        "response | what the node does",
        [
            *((_ranges(codes[outcome]), _ACTIONS[outcome]) for outcome in named),
            ("no response, an abort, a rejection, no connection", _ACTIONS["refused-now"]),
            ("every other status", _ACTIONS["refused"]),
        ],
    )


def _security() -> str:
    """Secure transport, PS3.15 B: what a context of ours really offers."""
    context = server_context(TlsFiles(), asks=False)
    suites = [suite["name"] for suite in context.get_ciphers()]
    new = [name for name in suites if name.startswith("TLS_")]
    old = [name for name in suites if not name.startswith("TLS_")]
    return _table(
        "what | as listener and as caller",
        [
            ("profile", "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)"),
            ("versions", "TLS 1.3, TLS 1.2"),
            ("suites of TLS 1.3", ", ".join(new)),
            ("suites of TLS 1.2 (OpenSSL's names)", ", ".join(old)),
            ("not offered", "compression, renegotiation, resumption, early data"),
        ],
    )


def _ranges(codes: Sequence[int]) -> str:
    """Numbers as ranges, e.g. ``0001, B000-BFFF``."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(f"{low:04X}" if low == high else f"{low:04X}-{high:04X}" for low, high in runs)


def _codes(kinds: Sequence[Described]) -> str:
    """Every code that is written by us, and where."""
    places: dict[str, set[str]] = {}
    for kind in kinds:
        for code, place in kind.codes:
            places.setdefault(code, set()).add(place)
    return _table("code | in", ((f"`{code}`", "; ".join(sorted(places[code]))) for code in sorted(places)))
