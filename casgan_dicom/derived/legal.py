"""Values that come from a source, made legal for the object that is written.

Old files hold dates as ACR-NEMA wrote them (2024.01.02), codes in small letters, texts that are too long. A
new object may not (PS3.5 6.2). What means only one thing is mended; what does not is left empty, and both are
said. How a source is *read* is another matter: ``source/``.

A value is text here, as it stands between two backslashes; None is one that cannot be mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from casgan_dicom.source.written_times import legal_date, legal_datetime, legal_time, legal_zone

MAX_LENGTH: Mapping[str, int] = {
    "AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024, "UI": 64,
}  # fmt: skip
"""Most characters of a value, by its representation; of each component group of a name."""
IDENTIFIERS = (
    "PatientID", "IssuerOfPatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID",
    "DeviceSerialNumber", "CodeValue", "CodingSchemeDesignator", "ClinicalTrialSubjectID",
    "ClinicalTrialProtocolID", "ClinicalTrialSiteID", "LocalNamespaceEntityID", "UniversalEntityID",
)  # fmt: skip
"""What is left empty where it is too long: cut short, it might be that of somebody else."""
TERMS: Mapping[str, tuple[str, ...]] = {
    "PatientSex": ("M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "QualityControlSubject": ("YES", "NO"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "Laterality": ("R", "L"),
    "ImageLaterality": ("R", "L", "U", "B"),
    "TypeOfPatientID": ("TEXT", "RFID", "BARCODE"),
}
"""Enumerated values (PS3.3 C.7) of what is carried over."""
NUMBERS: Mapping[str, range] = {"PregnancyStatus": range(1, 5)}
"""The same where they are no text."""

_SEXES = {"MALE": "M", "FEMALE": "F", "OTHER": "O"}
_AGE = re.compile(r"(\d{1,3}) ?([DWMY])", re.IGNORECASE)
_CODE = re.compile(r"[A-Z0-9 _]*")
_ORIENTATION = re.compile(r"[APRLHF]{1,3}")
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")  # tab, new line, page, ESC may stay


def legal_text(keyword: str, vr: str, text: str) -> str | None:
    """One value as it may be written: as it is where it is legal, mended, or None.

    `keyword` names the element; `vr` is its value representation by the dictionary.
    """
    if special := _BY_KEYWORD.get(keyword):
        return special(text.strip())
    mend = _BY_VR.get(vr)
    if mend is None:
        return text
    made = mend(text)
    if made is None or len(made) <= MAX_LENGTH.get(vr, len(made)) or vr == "PN":
        return _in_terms(keyword, made)
    if keyword in IDENTIFIERS or vr not in ("LO", "SH", "ST", "LT"):
        return None
    return made[: MAX_LENGTH[vr]].rstrip()


def form_of(text: str) -> str:
    """What a value looks like without what it says: ``9999.99.99``; digits as 9, letters as A or a."""
    shown = "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c if c.isprintable() else "?"
        for c in text
    )
    return shown if len(shown) <= 32 else f"{len(shown)} characters"


def _in_terms(keyword: str, text: str | None) -> str | None:
    """The value if it is one of the enumerated ones, or if none are."""
    terms = TERMS.get(keyword)
    if text is None or not text or terms is None:
        return text
    text = _SEXES.get(text, text) if keyword == "PatientSex" else text
    return text if text in terms else None


def _age(text: str) -> str | None:
    match = _AGE.fullmatch(text.strip())
    return f"{int(match[1]):03d}{match[2].upper()}" if match else None


def _code(text: str) -> str | None:
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else None


def _orientation(text: str) -> str | None:
    letters = text.upper()
    axes = {"APRLHF".index(letter) // 2 for letter in letters} if _ORIENTATION.fullmatch(letters) else set()
    return letters if len(axes) == len(letters) > 0 else None


def _uid(text: str) -> str | None:
    uid = text.strip(" \0")
    return uid if _UID.fullmatch(uid) else None


def _integer(text: str) -> str | None:
    text = text.strip()
    if _INTEGER.fullmatch(text) and -(2**31) <= int(text) < 2**31:
        return text
    decimal = _decimal(text)
    number = None if decimal is None else float(decimal)
    return str(int(number)) if number is not None and number.is_integer() and abs(number) < 2**31 else None


def _decimal(text: str) -> str | None:
    text = text.strip()
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    if not _DECIMAL.fullmatch(text):
        return None
    return text if len(text) <= MAX_LENGTH["DS"] else f"{float(text):.10g}"


def _line(text: str) -> str:
    return _CONTROL.sub(" ", text).replace("\\", "/")


def _lines(text: str) -> str:
    return _CONTROL_IN_TEXT.sub(" ", text)


def _name(text: str) -> str:
    """At most three groups of five components and 64 characters; what is too much goes into the last."""
    groups = _CONTROL.sub(" ", text).split("=")
    return "=".join(_name_group(group) for group in groups[:3])


def _name_group(group: str) -> str:
    components = group.split("^")
    kept = [*components[:4], " ".join(components[4:])] if len(components) > 5 else components
    return "^".join(kept)[: MAX_LENGTH["PN"]]


def _address(text: str) -> str | None:
    text = text.strip()
    return text if " " not in text and "\\" not in text else None


_Mend = Callable[[str], str | None]
_BY_VR: Mapping[str, _Mend] = {
    "AE": _line, "AS": _age, "CS": _code, "DA": legal_date, "DS": _decimal, "DT": legal_datetime,
    "IS": _integer, "LO": _line, "LT": _lines, "PN": _name, "SH": _line, "ST": _lines, "TM": legal_time,
    "UC": _line, "UI": _uid, "UR": _address, "UT": _lines,
}  # fmt: skip
_BY_KEYWORD: Mapping[str, _Mend] = {"TimezoneOffsetFromUTC": legal_zone, "PatientOrientation": _orientation}
