"""What a verdict about a derived series has to say: which, why, about what, and that it is synthetic.

``derived/review_content.py`` writes it. A report and a key object selection say the same in other places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset

from casgan_dicom.derived.review_terms import (
    ACCEPTED,
    REJECTED,
    REJECTED_FOR,
    STATEMENT,
    VERDICT,
)
from casgan_dicom.verification.kinds import REVIEWS, ObjectKind, Rule, codes_in, evidence, kind_of

_TITLES = {("113000", "DCM"): "accepted", ("113001", "DCM"): "rejected"}
_VERDICTS = {ACCEPTED.key: "accepted", REJECTED.key: "rejected"}
_MODIFIER = ("113011", "DCM")
_TEXTS = {("121106", "DCM"), ("113012", "DCM")}
"""Comment, and Key Object Description."""


def _verdict(ds: Dataset) -> Iterator[str]:
    if kind_of(ds) is ObjectKind.SELECTION:
        said = [_TITLES.get(code) for code in codes_in(ds, "ConceptNameCodeSequence")]
        where = "ConceptNameCodeSequence (0040,A043)"
        reasons = _values(ds, _MODIFIER)
    else:
        said = [_VERDICTS.get(code) for code in _values(ds, VERDICT.key)]
        where = "the content"
        reasons = _values(ds, REJECTED_FOR.key)
    if len(said) != 1 or said[0] is None:
        yield f"{where} has no verdict, or more than one: need accepted or rejected"
    elif said[0] == "rejected" and len(reasons) != 1:
        yield f"it is rejected for {len(reasons)} reasons, need one"
    elif said[0] == "accepted" and reasons:
        yield f"it is accepted, and has {len(reasons)} reasons to reject it"


def _objects(ds: Dataset) -> Iterator[str]:
    named = {
        (str(one.get("ReferencedSOPClassUID")), str(one.get("ReferencedSOPInstanceUID")))
        for item in _items(ds)
        for one in item.get("ReferencedSOPSequence") or []
    }
    listed = {
        (str(one.get("ReferencedSOPClassUID")), str(one.get("ReferencedSOPInstanceUID")))
        for _, one in evidence(ds)
    }
    if not named:
        yield "the content refers to no object"
    if apart := len(named ^ listed):
        yield f"{apart} objects stand in the content or in the evidence (0040,A375) only, need all in both"


def _statement(ds: Dataset) -> Iterator[str]:
    texts = [
        str(item.get("TextValue") or "")
        for item in _items(ds)
        if _TEXTS.intersection(codes_in(item, "ConceptNameCodeSequence"))
    ]
    if len(texts) != 1 or not texts[0].startswith(STATEMENT):
        yield f"no text says '{STATEMENT}'"


def _items(ds: Dataset) -> Iterator[Dataset]:
    """Every content item, at every depth."""
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from _items(item)


def _values(ds: Dataset, name: tuple[str, str]) -> list[tuple[str, str]]:
    """Codes that are the values of a concept."""
    return [
        code
        for item in _items(ds)
        if name in codes_in(item, "ConceptNameCodeSequence")
        for code in codes_in(item, "ConceptCodeSequence")
    ]


REVIEW_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "review-verdict": Rule(_verdict, REVIEWS),
        "review-objects": Rule(_objects, REVIEWS),
        "review-statement": Rule(_statement, REVIEWS),
    }
)
"""Rules of verdicts by their names, in the order in which they are asked."""
