"""Deterministic UIDs: the same content always gets the same UID, and changed content never an old one.

UUIDv5 over a canonical text, written as ``2.25.<integer>`` (PS3.5 B.2). Archives answer success to changed
content under a known SOP Instance UID and keep the old object, so the UID of a derived instance includes
the digests of its pixels and of what its header says: sending again is idempotent, and a result that drifted
(another processor, another engine, a source that tells more of its history) never hides behind the UID of an
earlier one.

`is_uid` says of any text whether it is a UID at all, `is_like_uid` whether it may be said as one.
"""

from __future__ import annotations

import json
import re
import uuid

from pydicom.config import IGNORE
from pydicom.uid import UID

from casgan_dicom.quoting import quoted

# The root of every name here. It never changes: with another root, every output would get another UID.
_ROOT = uuid.UUID("a1f6e1f2-5c0e-5d6f-9f0b-2b6e8c3d7a54")

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_LIKE_UID = re.compile(rf"[0-9.]{{1,{_LONGEST_UID}}}")


def derived_uid(purpose: str, *parts: str | int) -> UID:
    """The UID that stands for `purpose` with exactly these `parts`, in this order.

    Returns a UID of at most 44 characters: ``2.25.`` and a UUIDv5 as a decimal integer. The parts are joined
    as JSON, so ("ab", "c") and ("a", "bc") never meet.
    """
    name = json.dumps([purpose, *parts], ensure_ascii=True, separators=(",", ":"))
    return UID(f"2.25.{uuid.uuid5(_ROOT, name).int}")


def model_uid(weights_sha256: str, recipe: str) -> UID:
    """The Device UID (0018,1002) of a model: another for other weights or another recipe."""
    return derived_uid("model", weights_sha256, recipe)


def series_uid(
    source_series_uid: str, whose: str, weights_sha256: str, version: str, recipe: str, form: str
) -> UID:
    """The Series Instance UID (0020,000E) of what these weights make of one source series.

    `whose` tells patient and study apart: a source may use one series UID for two of them, and a series of
    ours belongs to one (PS3.3 A.1.2). `version` is that of this package; `form` names the kind of object that
    is written, e.g. ``mf-gray8``.
    """
    return derived_uid("series", source_series_uid, whose, weights_sha256, version, recipe, form)


def sop_uid(derived_series_uid: str, source_sop_uid: str, content_sha256: str) -> UID:
    """The SOP Instance UID (0008,0018) of one derived instance: its series, its source and its content."""
    return derived_uid("instance", derived_series_uid, source_sop_uid, content_sha256)


def is_uid(text: str) -> bool:
    """Whether a text is a UID: at most 64 digits and dots, no part empty (so neither ``..`` nor ``/``)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def is_like_uid(text: str) -> bool:
    """Whether a text is of at most 64 digits and dots: so it holds no name, and can stand in a message."""
    return _LIKE_UID.fullmatch(text) is not None


IMPLEMENTATION_CLASS_UID = derived_uid("implementation", "casgan-dicom")
"""Who wrote the file: Implementation Class UID (0002,0012)."""


def shown_uid(uid: str) -> str:
    """A UID as a message names an object by it; of what is none, only that."""
    return uid if is_like_uid(uid) else "no UID"


def uid_name(value: object) -> str:
    """The name of a known UID in quotes; the UID itself of another, quoted as far as it is one."""
    uid = UID(str(value or ""), IGNORE)
    return f"'{uid.name}'" if uid.name != uid else quoted(uid, "UI")
