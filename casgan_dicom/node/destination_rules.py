"""Which keys a destination has by its kind, and which values make sense. Pure.

A key that no kind names is for all of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from casgan_dicom.node import hours
from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.settings import (
    ArchiveSettings,
    DestinationKind,
    DestinationSettings,
    NotificationSettings,
    RetrySettings,
)

_NEEDED: Mapping[DestinationKind, Mapping[str, str]] = {
    "dicom": {"host": "an address or a name", "port": "1 to 65535", "ae_title": "its AE title"},
    "stow": {"url": "an address as https://pacs.example/dicom-web/studies"},
    "folder": {"folder": "a path that begins with /"},
}
"""What is wanted of each key that a kind cannot do without."""
_WIRE = (
    "connect_seconds", "response_seconds", "syntaxes", "bytes_per_second", "withdraw", "withdraw_title",
)  # fmt: skip
_TLS = ("tls_authorities", "tls_certificate", "tls_key")
_POSSIBLE: Mapping[DestinationKind, tuple[str, ...]] = {
    "dicom": (
        "calling_ae_title", "associations", "commitment", "commitment_seconds", "tls", "tls_name",
        *_TLS, *_WIRE,
    ),
    "stow": (
        "user", "password_file", "password_variable", "token_file", "proxy", "request_instances",
        "request_bytes", *_TLS, *_WIRE,
    ),
    "folder": ("layout", "readable_by"),
}  # fmt: skip
"""The other keys of each kind."""
KindKeys = tuple[Mapping[str, str], tuple[str, ...]]
"""Keys that a kind cannot do without, with what is wanted of them, and the other ones that it has."""
_OF_KIND: Mapping[str, KindKeys] = {kind: (_NEEDED[kind], _POSSIBLE[kind]) for kind in _NEEDED}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TRANSFER_SYNTAXES: Mapping[str, str] = {
    "ImplicitVRLittleEndian": "1.2.840.10008.1.2",
    "ExplicitVRLittleEndian": "1.2.840.10008.1.2.1",
    "DeflatedExplicitVRLittleEndian": "1.2.840.10008.1.2.1.99",
    "ExplicitVRBigEndian": "1.2.840.10008.1.2.2",
    "RLELossless": "1.2.840.10008.1.2.5",
    "JPEGBaseline8Bit": "1.2.840.10008.1.2.4.50",
    "JPEGExtended12Bit": "1.2.840.10008.1.2.4.51",
    "JPEGLossless": "1.2.840.10008.1.2.4.57",
    "JPEGLosslessSV1": "1.2.840.10008.1.2.4.70",
    "JPEGLSLossless": "1.2.840.10008.1.2.4.80",
    "JPEGLSNearLossless": "1.2.840.10008.1.2.4.81",
    "JPEG2000Lossless": "1.2.840.10008.1.2.4.90",
    "JPEG2000": "1.2.840.10008.1.2.4.91",
    "HTJ2KLossless": "1.2.840.10008.1.2.4.201",
    "HTJ2KLosslessRPCL": "1.2.840.10008.1.2.4.202",
    "HTJ2K": "1.2.840.10008.1.2.4.203",
}
"""UID by keyword, PS3.6 A: a table of our own, as settings are read without loading pydicom."""
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
_SLOWEST = 1024

Wrong = tuple[str, tuple[str, ...]]
"""Which key, what was found and wanted; and every key that the rule looked at, the one to change first."""


def needed() -> frozenset[str]:
    """Keys that some kind cannot do without."""
    return frozenset(key for keys in _NEEDED.values() for key in keys)


def retry_of(destination: DestinationSettings, everywhere: RetrySettings) -> RetrySettings:
    """How often a delivery to this destination is tried again."""
    names = [field.name for field in dataclasses.fields(RetrySettings)]
    own = {name: getattr(destination, f"retry_{name}") for name in names}
    return dataclasses.replace(everywhere, **{key: value for key, value in own.items() if value is not None})


def transfer_syntaxes(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The UIDs of transfer syntaxes that are named by UID or keyword; ValueError where one is none."""
    known = {**TRANSFER_SYNTAXES, **{uid: uid for uid in TRANSFER_SYNTAXES.values()}}
    if unknown := [text for text in texts if text not in known]:
        raise ValueError(f"{', '.join(unknown)}: no transfer syntax")
    return tuple(known[text] for text in texts)


def wrong_together(at: str, destination: DestinationSettings, everywhere: RetrySettings) -> Iterator[Wrong]:
    """What makes no sense about a destination, beyond single values; `at` names its table."""
    yield from kind_faults(at, destination, "destination", _OF_KIND)
    if destination.kind == "stow":
        yield from login_faults(at, destination)
    retry = retry_of(destination, everywhere)
    if retry.first_seconds > retry.longest_seconds and retry != everywhere:
        keys = (f"{at}.retry_first_seconds", f"{at}.retry_longest_seconds")
        found = f"the first wait of {at} is {retry.first_seconds:g}"
        yield f"{found}, want at most the longest ({retry.longest_seconds:g})", (
            *keys, "retry.first_seconds", "retry.longest_seconds",
        )  # fmt: skip
    if destination.zone and not destination.hours:
        keys = (f"{at}.zone", f"{at}.hours")
        yield f"{keys[0]} is {destination.zone!r}, want {keys[1]} with it, or nothing", keys


def kind_faults(
    at: str,
    place: DestinationSettings | ArchiveSettings | NotificationSettings,
    what: str,
    kinds: Mapping[str, KindKeys],
) -> Iterator[Wrong]:
    """Keys that the kind lacks, and those of another kind; `what` is how messages call such a place."""
    kind = place.kind
    needed_keys, possible = kinds[kind]
    own = {*needed_keys, *possible}
    others = {key for keys in kinds.values() for key in (*keys[0], *keys[1])} - own
    for key, wanted in needed_keys.items():
        if not getattr(place, key):
            text = f"{at}.{key} is missing, want {wanted}: kind is '{kind}'"
            yield text, (f"{at}.{key}", f"{at}.kind", at.partition("#")[0])
    for field in dataclasses.fields(place):
        value = getattr(place, field.name)
        if field.name in others and value != field.default:
            shown = repr(str(value) if isinstance(value, Path) else value)
            article = "an" if what[0] in "aeiou" else "a"
            wanted = f"want it left out: {article} {what} of kind '{kind}' has {', '.join(sorted(own))}"
            yield f"{at}.{field.name} is {shown}, {wanted}", (f"{at}.{field.name}", f"{at}.kind")


def login_faults(at: str, destination: DestinationSettings | ArchiveSettings) -> Iterator[Wrong]:
    """Who we say that we are: by one way, in full, and in nobody's hearing."""
    passwords = [key for key in ("password_file", "password_variable") if getattr(destination, key)]
    user, file, variable, token = (
        f"{at}.{key}" for key in ("user", "password_file", "password_variable", "token_file")
    )
    if (destination.user is None) != (not passwords) or len(passwords) > 1:
        found = " and ".join(passwords) or "neither"
        text = f"{at} has {'no user' if destination.user is None else 'a user'} and of passwords {found}"
        yield f"{text}, want user with one of password_file and password_variable", (user, file, variable)
    if destination.token_file and destination.user is not None:
        yield f"{token} is set beside {user}, want one of the two", (token, user)
    url = _split(destination.url)
    if url and url.scheme == "http" and not is_loopback(url.hostname or ""):
        for key in ("user", "token_file"):
            if getattr(destination, key) is not None:
                text = f"{at}.{key} is set and {at}.url begins with http:, want https: anybody could read it"
                yield text, (f"{at}.url", f"{at}.{key}")


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None if it has none."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # no port, no address
        return None


# Rules for single values.


def _url(value: object) -> str:
    parts, text = _split(str(value)), str(value)
    right = parts is not None and parts.scheme in ("http", "https")
    plain = text.isascii() and text.isprintable() and not set(text) & set(" @?#\\")
    if value == "" or (right and plain):
        return ""
    return "an address as https://pacs.example/dicom-web/studies, without user, ? and #"


def _path(value: object) -> str:
    right = value is None or (isinstance(value, Path) and value.is_absolute())
    return "" if right else "a path that begins with /"


def _variable(value: object) -> str:
    return "" if value == "" or _VARIABLE.fullmatch(str(value)) else "the name of a variable"


def _user(value: object) -> str:
    right = value is None or (str(value) and str(value).isprintable() and ":" not in str(value))
    return "" if right else "a name without a colon"


def _hours(value: object) -> str:
    try:
        for text in value if isinstance(value, tuple) else ():
            hours.spans(text)
    except ValueError:
        return hours.WANTED
    return ""


def _zone(value: object) -> str:
    try:
        ZoneInfo(str(value) or "UTC")
    except (ValueError, OSError, KeyError):  # the last of a zone that nobody knows
        return "a time zone as Europe/Berlin, or nothing"
    return ""


def _syntaxes(value: object) -> str:
    try:
        found = transfer_syntaxes(value if isinstance(value, tuple) else ())
    except ValueError:
        return "UIDs or keywords of transfer syntaxes, as JPEG2000Lossless"
    right = not found or any(each in _NATIVE for each in found)
    return "" if right else "ExplicitVRLittleEndian or ImplicitVRLittleEndian among them"


def _speed(value: object) -> str:
    right = value == 0 or (isinstance(value, int) and value >= _SLOWEST)
    return "" if right else f"0, or at least {_SLOWEST}"


RULES: Mapping[str, Callable[[object], str]] = {
    "destinations.url": _url,
    "destinations.user": _user,
    "destinations.password_variable": _variable,
    "destinations.folder": _path,
    "destinations.syntaxes": _syntaxes,
    "destinations.bytes_per_second": _speed,
    "destinations.hours": _hours,
    "destinations.zone": _zone,
    **{f"destinations.{name}_file": _path for name in ("password", "token")},
}
"""What is wanted in place of a value, by its key; empty where it is right."""
