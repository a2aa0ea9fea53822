"""Which keys of an archive make sense together, by key."""

from __future__ import annotations

from typing import Any

import pytest

from casgan_dicom.node.checks import problems
from casgan_dicom.node.settings import ArchiveSettings, NodeSettings

DICOM: dict[str, Any] = {"host": "10.1.2.4", "port": 104, "ae_title": "PACS"}
WEB: dict[str, Any] = {"kind": "dicomweb", "url": "https://pacs.example/dicom-web"}


def told(**archive: Any) -> tuple[str, ...]:  # noqa: ANN401  # as the settings
    return problems(NodeSettings(archives=(ArchiveSettings("pacs", **archive),)))


@pytest.mark.parametrize(
    ("archive", "wanted"),
    [
        (DICOM | {"host": ""}, "archives#1.host is missing, want an address or a name: kind is 'dicom'"),
        (DICOM | {"port": 0}, "archives#1.port is missing, want 1 to 65535"),
        (DICOM | {"url": "https://a"}, "archives#1.url is 'https://a', want it left out: an archive of kind"),
        (WEB | {"url": ""}, "archives#1.url is missing, want an address as https"),
        (WEB | {"url": "ftp://a"}, "archives#1.url is 'ftp://a', want an address"),
        (WEB | {"host": "a"}, "archives#1.host is 'a', want it left out"),
        (WEB | {"tls": True}, "archives#1.tls is True, want it left out"),
        (WEB | {"user": "a"}, "archives#1 has a user and of passwords neither"),
        (WEB | {"user": "a", "password_variable": "P", "url": "http://a"}, "want https: anybody could read"),
        (DICOM | {"tls": True, "tls_key": "/k"}, "archives#1.tls_certificate is '', want a file"),
        (DICOM | {"tls_name": "a"}, "archives#1.tls_name is set, want tls = true with it"),
    ],
)
def test_what_makes_no_sense_is_told_by_key(archive: dict[str, Any], wanted: str) -> None:
    assert any(wanted in each for each in told(**archive)), told(**archive)


@pytest.mark.parametrize(
    "archive",
    [
        DICOM,
        DICOM | {"tls": True, "tls_certificate": "/c", "tls_key": "/k", "tls_name": "pacs.example"},
        WEB,
        WEB | {"ae_title": "PACS", "tls_authorities": "/a", "user": "a", "password_variable": "P"},
    ],
)
def test_what_makes_sense_is_not_told(archive: dict[str, Any]) -> None:
    assert told(**archive) == ()
