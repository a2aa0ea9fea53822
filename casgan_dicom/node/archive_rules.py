"""Which keys an archive has by its kind, and which of them make sense together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from casgan_dicom.node.destination_rules import KindKeys, Wrong, kind_faults, login_faults
from casgan_dicom.node.settings import ArchiveSettings

_OF_KIND: Mapping[str, KindKeys] = {
    "dicom": (
        {"host": "an address or a name", "port": "1 to 65535", "ae_title": "its AE title"},
        ("retrieve", "calling_ae_title", "tls", "tls_name"),
    ),
    "dicomweb": (
        {"url": "an address as https://pacs.example/dicom-web"},
        ("ae_title", "user", "password_file", "password_variable", "token_file", "proxy"),
    ),
}


def needed() -> frozenset[str]:
    """Keys that some kind cannot do without."""
    return frozenset(key for keys, _ in _OF_KIND.values() for key in keys)


def archive_faults(at: str, archive: ArchiveSettings) -> Iterator[Wrong]:
    """Everything that makes no sense about an archive; `at` names its table."""
    yield from kind_faults(at, archive, "archive", _OF_KIND)
    if archive.kind == "dicomweb":
        yield from login_faults(at, archive)
    certificate, key = f"{at}.tls_certificate", f"{at}.tls_key"
    if bool(archive.tls_certificate) != bool(archive.tls_key):
        there, missing = (certificate, key) if archive.tls_certificate else (key, certificate)
        yield f"{missing} is '', want a file: {there} is set", (missing, there)
    for name in ("tls_authorities", "tls_certificate", "tls_name"):
        if archive.kind == "dicom" and getattr(archive, name) and not archive.tls:
            yield f"{at}.{name} is set, want tls = true with it", (f"{at}.{name}", f"{at}.tls")
