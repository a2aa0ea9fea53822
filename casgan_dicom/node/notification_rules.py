"""Which keys a notification has by its kind, and which values make sense. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.destination_rules import RULES as OF_DESTINATIONS
from casgan_dicom.node.destination_rules import KindKeys, Wrong, kind_faults
from casgan_dicom.node.settings import TOLD, NotificationSettings

_OF_KIND: Mapping[str, KindKeys] = {
    "webhook": ({}, ("url", "url_file", "token_file", "proxy")),
    "mail": (
        {
            "host": "the name or address of a mail server",
            "sender": "an address as node@hospital.example",
            "to": "one address or more",
        },
        ("port", "encryption", "user", "password_file"),
    ),
}
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
"""As a browser takes them; no comments, no names, nothing that could begin another header."""
_URL_WANTED = "an address as https://chat.example/hooks/casgan, without user and #"


def needed() -> frozenset[str]:
    """Keys that some kind cannot do without."""
    return frozenset(key for keys, _ in _OF_KIND.values() for key in keys)


def notification_faults(at: str, told: NotificationSettings) -> Iterator[Wrong]:
    """Everything that makes no sense about a notification; `at` names its table."""
    yield from kind_faults(at, told, "notification", _OF_KIND)
    if told.kind == "webhook":
        yield from _of_webhook(at, told)
    else:
        yield from _of_mail(at, told)


def _of_webhook(at: str, told: NotificationSettings) -> Iterator[Wrong]:
    url, file, token = f"{at}.url", f"{at}.url_file", f"{at}.token_file"
    if bool(told.url) == (told.url_file is not None):
        found = "both" if told.url else "neither"
        yield f"{at} has of url and url_file {found}, want one of the two", (url, file)
    if told.token_file is not None and told.url and not is_private(told.url):
        text = f"{token} is set and {url} begins with http:, want https: anybody could read it"
        yield text, (url, token)


def _of_mail(at: str, told: NotificationSettings) -> Iterator[Wrong]:
    user, password, encryption = f"{at}.user", f"{at}.password_file", f"{at}.encryption"
    if (told.user is None) != (told.password_file is None):
        there, missing = (password, user) if told.user is None else (user, password)
        yield f"{missing} is missing, want it: {there} is set", (missing, there)
    if told.user is not None and told.encryption == "none" and not is_loopback(told.host):
        text = f"{user} is set and {encryption} is 'none', want starttls or tls: anybody could read it"
        yield text, (encryption, user)


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is posted to an address."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def wrong_url(value: object) -> str:
    """What is wanted in place of the address of a webhook; empty where it is right, or none."""
    text = str(value)
    try:
        parts = urlsplit(text)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # no port, no address
        return _URL_WANTED
    plain = text.isascii() and text.isprintable() and not set(text) & set(" @#\\")
    return "" if not text or (right and plain) else _URL_WANTED


def _mail(value: object) -> str:
    return "" if value == "" or _MAIL.fullmatch(str(value)) else "an address as node@hospital.example"


def _mails(value: object) -> str:
    found = value if isinstance(value, tuple) else ()
    return next((wanted for each in found if (wanted := _mail(each or " "))), "")


def _events(value: object) -> str:
    right = isinstance(value, tuple) and set(value) <= set(TOLD)
    return "" if right else f"of {', '.join(TOLD)}"


RULES: Mapping[str, Callable[[object], str]] = {
    "notifications.url": wrong_url,
    "notifications.url_file": OF_DESTINATIONS["destinations.token_file"],
    "notifications.token_file": OF_DESTINATIONS["destinations.token_file"],
    "notifications.user": lambda value: "" if value is None or str(value).isprintable() else "a name",
    "notifications.password_file": OF_DESTINATIONS["destinations.password_file"],
    "notifications.sender": _mail,
    "notifications.to": _mails,
    "notifications.events": _events,
}
"""What is wanted in place of a value, by its key; empty where it is right."""
