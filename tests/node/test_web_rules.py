"""Which settings of [web] and [page] make sense together, by key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from casgan_dicom.node.checks import problems
from casgan_dicom.node.settings import NodeSettings, PageSettings, WebSettings

TLS: dict[str, Any] = {"tls_certificate": "/c", "tls_key": "/k"}
TOKENS: dict[str, Any] = {"tokens_file": "/t"}
EVERYWHERE: dict[str, Any] = {"port": 8043, "host": "0.0.0.0"}


def told(**web: Any) -> tuple[str, ...]:  # noqa: ANN401  # as the settings
    return problems(NodeSettings(web=WebSettings(**web)))


@pytest.mark.parametrize(
    ("web", "wanted"),
    [
        (EVERYWHERE | TOKENS, r"web.host is '0.0.0.0', want a loopback address, or web.tls_certificate"),
        (EVERYWHERE | TLS, "web.host is '0.0.0.0', want a loopback address, or web.tokens_file"),
        (EVERYWHERE | {"unencrypted": True}, "or web.tokens_file"),
        ({"tls_key": "/k"}, "web.tls_certificate is '', want a file: web.tls_key is set"),
        ({"tls_certificate": "/c"}, "web.tls_key is '', want a file"),
        ({"tls_authorities": "/a"}, "web.tls_certificate is '', want a file: web.tls_authorities is set"),
        ({"max_connections": 20}, r"max_connections_per_address is 25, want at most .* \(20\)"),
        ({"max_connections": 401}, "web.max_connections is 401, want 1 to 400"),
        ({"port": 65536}, "web.port is 65536, want 0 to 65535"),
        ({"ae_title": ""}, "web.ae_title is '', want 1 to 16"),
        ({"idle_seconds": 0.0}, "web.idle_seconds is 0, want more than 0"),
    ],
)
def test_what_makes_no_sense_is_told_by_key(web: dict[str, Any], wanted: str) -> None:
    (found,) = told(**web)
    assert re.search(wanted, found)


@pytest.mark.parametrize(
    "web",
    [
        {},
        {"port": 8043},
        {"port": 8043, "host": "::1"},
        {"host": "0.0.0.0"},  # nobody listens
        EVERYWHERE | TLS | TOKENS,
        EVERYWHERE | TOKENS | {"unencrypted": True},
        TLS | {"port": 8043, "tls_authorities": "/a"},
    ],
)
def test_what_makes_sense_is_not_told(web: dict[str, Any]) -> None:
    assert told(**web) == ()


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        (EVERYWHERE | TOKENS, r"page.host is '0.0.0.0', want a loopback address, or page.tls_certificate"),
        (EVERYWHERE | TLS, "page.host is '0.0.0.0', want a loopback address, or page.tokens_file"),
        (EVERYWHERE | {"unencrypted": True}, "or page.tokens_file"),
        ({"tls_key": "/k"}, "page.tls_certificate is '', want a file: page.tls_key is set"),
        ({"tls_authorities": "/a"}, "page.tls_certificate is '', want a file: page.tls_authorities is set"),
        ({"max_connections": 20}, r"max_connections_per_address is 25, want at most .* \(20\)"),
        ({"names": ("a b",)}, r"page.names is .*, want an address or a name"),
        ({"session_seconds": 0.0}, "page.session_seconds is 0, want more than 0"),
        ({"max_trial_bytes": 0}, "page.max_trial_bytes is 0, want at least 1"),
    ],
)
def test_so_is_what_makes_no_sense_about_the_page(page: dict[str, Any], wanted: str) -> None:
    (found,) = problems(NodeSettings(page=PageSettings(**page)))
    assert re.search(wanted, found)


@pytest.mark.parametrize(
    "page",
    [
        {"port": 8044},
        {"host": "0.0.0.0"},  # nobody listens
        EVERYWHERE | TLS | TOKENS | {"names": ("node.example",)},
        EVERYWHERE | TOKENS | {"unencrypted": True},
    ],
)
def test_what_makes_sense_about_the_page_is_not_told(page: dict[str, Any]) -> None:
    assert problems(NodeSettings(page=PageSettings(**page))) == ()
