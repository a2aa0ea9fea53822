"""Which single values of a node's settings make sense. Pure; what several mean together: ``checks.py``.

A rule says what is wanted in place of a value, or nothing where it is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from casgan_dicom.node.addresses import as_address, as_network
from casgan_dicom.node.destination_rules import RULES as OF_DESTINATIONS
from casgan_dicom.node.notification_rules import RULES as OF_NOTIFICATIONS
from casgan_dicom.node.settings import KINDS, MEBIBYTE, PRIORITIES
from casgan_dicom.node.settings.hosts import ROLES

LONGEST_SECONDS = 31_536_000
"""A year; sockets and timers take no more than some decades."""
MOST_CONNECTIONS = 480
"""Select takes file numbers below 1024, and a connection may have its socket and a file open."""
MOST_WEB_CONNECTIONS = 400
"""A process may have 1024 files open, and a connection may have its socket and a file."""

SHORTEST_LEASE, LONGEST_LEASE = 2.0, 3600.0
"""Seconds: it is renewed three times in it, and a restart of the database should fit into it."""

_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
"""PS3.5 6.2, AE: 16 characters of the default repertoire, no backslash; here no space that peers trim."""
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}")
"""PS3.3 C.7.3.1.1.1, CS."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_CERTIFICATE_NAME = re.compile(r"(DNS|URI|IP|CN):.+")
_SHA256 = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}")
SLOWEST_BYTES = 65536
"""A second: a PDU is read at once, and a sender waits some seconds at most for the next."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,57}")
"""PostgreSQL's names have 63 bytes, and that of the workflows is longer by five."""
_ENGINES = ("auto", "torch", "openvino")


def _seconds(value: object) -> str:
    right = value is None or (isinstance(value, int | float) and 0 < value <= LONGEST_SECONDS)
    return "" if right else f"more than 0 and at most {LONGEST_SECONDS} (a year)"


def _ae_title(value: object) -> str:
    right = _AE_TITLE.fullmatch(str(value))
    return "" if right else "1 to 16 ASCII characters, no backslash, no space at either end"


def _ae_title_or_nothing(value: object) -> str:
    return "" if value == "" else _ae_title(value)


def host(value: object) -> str:
    """What is wanted in place of the name or address of a machine; empty where it is right."""
    text = str(value)
    return "" if text and text.isprintable() and not set(text) & set(" /") else "an address or a name"


def _host_or_nothing(value: object) -> str:
    return "" if value == "" else host(value)


def _hosts(value: object) -> str:
    found = value if isinstance(value, tuple) else ()
    return next((wanted for wanted in map(host, found) if wanted), "")


def _place(value: object) -> str:
    text = str(value)
    right = as_network(text) if "/" in text else as_address(text)
    return "" if right else "an IP address, or a network as 10.1.0.0/16"


def _places(value: object) -> str:
    found = value if isinstance(value, tuple) else (value,) if value else ()
    return next((wanted for wanted in map(_place, found) if wanted), "")


def _patterns(value: object) -> str:
    texts = [str(text).replace("*", "A") for text in value] if isinstance(value, tuple) else []
    return next((wanted for wanted in map(_ae_title, texts) if wanted), "")


def _name(value: object) -> str:
    return "" if _NAME.fullmatch(str(value)) else "1 to 32 letters, digits, dashes and underscores"


def _name_or_nothing(value: object) -> str:
    return "" if value == "" else _name(value)


def _lease(value: object) -> str:
    right = isinstance(value, int | float) and SHORTEST_LEASE <= value <= LONGEST_LEASE
    return "" if right else f"{SHORTEST_LEASE:g} to {LONGEST_LEASE:g}"


def _modalities(value: object) -> str:
    right = isinstance(value, tuple) and value and all(_MODALITY.fullmatch(each) for each in value)
    return "" if right else "one or more modalities, such as XA"


def _folder(value: object) -> str:
    return "" if str(value).startswith("/") else "an absolute path of a folder"


def _titles(value: object) -> str:
    found = value if isinstance(value, tuple) else ()
    return next((wanted for wanted in map(_ae_title, found) if wanted), "")


def _certificate_name(value: object) -> str:
    text = str(value)
    right = _CERTIFICATE_NAME.fullmatch(text) and (not text.startswith("IP:") or as_address(text[3:]))
    return "" if right or not text else "DNS:name, URI:uri, IP:address or CN:name"


def _sha256(value: object) -> str:
    right = value == "" or _SHA256.fullmatch(str(value))
    return "" if right else "64 hexadecimal digits, with or without colons between pairs"


def _tls_name(value: object) -> str:
    return (
        "" if value == "" or (not str(value).startswith(".") and not host(value)) else "an address or a name"
    )


def _speed(value: object) -> str:
    right = value == 0 or (isinstance(value, int) and value >= SLOWEST_BYTES)
    return "" if right else f"0, or at least {SLOWEST_BYTES}"


def _bundle(value: object) -> str:
    return "" if value else "the name of a bundle, or a folder"


def _engine(value: object) -> str:
    return "" if value in _ENGINES else f"one of {', '.join(_ENGINES)}"


def _one_of(*words: str) -> Callable[[object], str]:
    return lambda value: "" if value in words else f"one of {', '.join(filter(None, words))}"


def _all_of(*words: str) -> Callable[[object], str]:
    def rule(value: object) -> str:
        right = isinstance(value, tuple) and set(value) <= set(words)
        return "" if right else f"of {', '.join(words)}"

    return rule


def _schema(value: object) -> str:
    right = _SCHEMA.fullmatch(str(value)) and not str(value).startswith("pg_")
    return "" if right else "1 to 58 small letters, digits and underscores, no digit first and not pg_"


def _between(low: int, high: int | None = None) -> Callable[[object], str]:
    def rule(value: object) -> str:
        right = isinstance(value, int) and low <= value and (high is None or value <= high)
        return "" if right else f"at least {low}" if high is None else f"{low} to {high}"

    return rule


def _seconds_or_ever(value: object) -> str:
    return "" if value == 0 else f"0, or {wanted}" if (wanted := _seconds(value)) else ""


_RULES: Mapping[str, Callable[[object], str]] = {
    "listener.host": host,
    "listener.port": _between(0, 65535),
    "listener.ae_title": _ae_title,
    "listener.ae_titles": _titles,
    "listener.max_connections": _between(1, MOST_CONNECTIONS),
    "listener.max_connections_per_address": _between(1),
    "listener.max_instance_bytes": _between(1),
    "listener.min_free_bytes": _between(0),
    "peers.ae_title": _ae_title,
    "peers.address": _places,
    "peers.addresses": _places,
    "peers.priority": _one_of("", *PRIORITIES),
    "peers.called_ae_titles": _titles,
    "peers.certificate_name": _certificate_name,
    "peers.certificate_sha256": _sha256,
    "peers.max_associations": _between(0),
    "peers.max_bytes_per_second": _speed,
    "peers.max_instance_bytes": _between(0),
    "peers.report_host": _host_or_nothing,
    "peers.report_port": _between(1, 65535),
    "worker.bundle": _bundle,
    "worker.engine": _engine,
    "worker.mode": _one_of("invent", "reference"),
    "worker.without_reference": _one_of("skip", "invent"),
    "worker.batch_frames": _between(1),
    "worker.deaths": _between(1),
    "retention.delivered_seconds": _seconds_or_ever,
    "retention.outbox_seconds": _seconds_or_ever,
    "retention.ended_seconds": _seconds_or_ever,
    "retention.quarantine_seconds": _seconds_or_ever,
    "retention.high_bytes": _between(0),
    "retention.low_bytes": _between(0),
    "retention.free_bytes": _between(0),
    "audit.max_bytes": _between(MEBIBYTE),
    "audit.files": _between(1, 1000),
    "audit.key_file": OF_DESTINATIONS["destinations.password_file"],
    "audit.host": _host_or_nothing,
    "audit.port": _between(1, 65535),
    "audit.transport": _one_of("tls", "tcp", "udp"),
    "audit.tls_name": _tls_name,
    "review.record": _one_of("", "sr", "ko"),
    "state.schema": _schema,
    "destinations.name": _name,
    "destinations.host": _host_or_nothing,
    "destinations.port": _between(0, 65535),
    "destinations.ae_title": _ae_title_or_nothing,
    "destinations.calling_ae_title": _ae_title_or_nothing,
    "destinations.associations": _between(1, 16),
    "archives.name": _name,
    "archives.host": _host_or_nothing,
    "archives.port": _between(0, 65535),
    "archives.ae_title": _ae_title_or_nothing,
    "archives.tls_name": _tls_name,
    "archives.url": OF_DESTINATIONS["destinations.url"],
    "archives.user": OF_DESTINATIONS["destinations.user"],
    "archives.password_variable": OF_DESTINATIONS["destinations.password_variable"],
    "archives.password_file": OF_DESTINATIONS["destinations.password_file"],
    "archives.token_file": OF_DESTINATIONS["destinations.token_file"],
    "archives.retrieve": _one_of("get", "move"),
    "archives.calling_ae_title": _ae_title_or_nothing,
    "pulls.archive": _name,
    "pulls.days": _between(0, 3660),
    "pulls.modalities": _modalities,
    "inboxes.path": _folder,
    "inboxes.ae_title": _ae_title,
    "host.name": _name_or_nothing,
    "host.roles": _all_of(*ROLES),
    "host.lease_seconds": _lease,
    "host.share_host": host,
    "host.share_port": _between(0, 65535),
    "web.host": host,
    "web.port": _between(0, 65535),
    "web.ae_title": _ae_title,
    "web.max_connections": _between(1, MOST_WEB_CONNECTIONS),
    "web.max_connections_per_address": _between(1),
    "web.max_request_bytes": _between(1),
    "page.host": host,
    "page.port": _between(0, 65535),
    "page.names": _hosts,
    "page.max_connections": _between(1, MOST_WEB_CONNECTIONS),
    "page.max_connections_per_address": _between(1),
    "page.max_trial_bytes": _between(1),
    "destinations.tls_name": _tls_name,
    "destinations.request_instances": _between(1, 1000),
    "destinations.request_bytes": _between(1),
    **OF_DESTINATIONS,
    "notifications.name": _name,
    "notifications.repeat_seconds": _seconds_or_ever,
    "notifications.host": _host_or_nothing,
    "notifications.port": _between(1, 65535),
    "notifications.encryption": _one_of("starttls", "tls", "none"),
    **OF_NOTIFICATIONS,
    "rules.name": _name,
    "rules.calling_ae": _patterns,
    "rules.called_ae": _patterns,
    "rules.address": _places,
    "rules.kind": _all_of(*KINDS),
    "rules.opacified": _one_of("", "yes", "no"),
    "rules.mode": _one_of("", "invent", "reference"),
    "rules.priority": _one_of("", *PRIORITIES),
    "rules.review": _one_of("", "sr", "ko", "none"),
}
"""Rule of each key; those in seconds that are not here have `_seconds`."""


def instead_of(key: str, value: object) -> str:
    """What is wanted in place of a value, by its key such as ``peers#2.address``; empty where it is right."""
    key = re.sub(r"#\d+", "", key)
    rule = _RULES.get(key, _seconds if key.endswith("_seconds") else None)
    return "" if rule is None else rule(value)
