"""Settings of notifications that make no sense together, or by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.node.checks import problems
from casgan_dicom.node.settings import NodeSettings, NotificationSettings

MAIL: dict[str, Any] = {"kind": "mail", "host": "mail", "sender": "a@b.example", "to": ("c@d.example",)}
HOOK: dict[str, Any] = {"url": "https://chat.example/x?sig=a%2Fb"}


def of(*told: dict[str, Any]) -> tuple[str, ...]:
    made = tuple(
        NotificationSettings(each.get("name", f"n{n}"), **_rest(each)) for n, each in enumerate(told)
    )
    return problems(NodeSettings(notifications=made))


def _rest(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in changes.items() if key != "name"}


@pytest.mark.parametrize(
    "changes",
    [
        HOOK,
        {"url": "http://127.0.0.1:8065/hooks/x", "token_file": Path("/t"), "proxy": True},
        {"url_file": Path("/etc/url"), "events": ("disk", "dead_letter"), "repeat_seconds": 0},
        MAIL,
        MAIL | {"port": 25, "encryption": "none"},
        MAIL | {"host": "127.0.0.1", "encryption": "none", "user": "u", "password_file": Path("/p")},
        MAIL | {"encryption": "tls", "port": 465, "user": "u", "password_file": Path("/p")},
    ],
)
def test_these_make_sense(changes: dict[str, Any]) -> None:
    assert of(changes) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "§ has of url and url_file neither, want one of the two"),
        (HOOK | {"url_file": Path("/u")}, "§ has of url and url_file both, want one of the two"),
        (
            {"url": "http://chat.example/x", "token_file": Path("/t")},
            "§.token_file is set and §.url begins with http:, want https: anybody could read it",
        ),
        (
            MAIL | {"user": "u"},
            "§.password_file is missing, want it: §.user is set",
        ),
        (
            MAIL | {"encryption": "none", "user": "u", "password_file": Path("/p")},
            "§.user is set and §.encryption is 'none', want starttls or tls: anybody could read it",
        ),
        (MAIL | {"encryption": "ssl"}, "§.encryption is 'ssl', want one of starttls, tls, none"),
        (MAIL | {"sender": "x"}, "§.sender is 'x', want an address as node@hospital.example"),
        (
            MAIL | {"to": ("a@b.example", "c@d.example\nBcc: e@f.example")},
            "§.to is ('a@b.example', 'c@d.example\\nBcc: e@f.example'), want an address as"
            " node@hospital.example",
        ),
        (
            HOOK | {"events": ("fire",)},
            "§.events is ('fire',), want of dead_letter, failed, quarantine, disk, certificate,"
            " peer_away, audit, paused, host",
        ),
        (HOOK | {"look_seconds": 0.0}, "§.look_seconds is 0, want more than 0 and at most 31536000 (a year)"),
        (HOOK | {"name": "a b"}, "§.name is 'a b', want 1 to 32 letters, digits, dashes and underscores"),
    ],
)
def test_what_makes_no_sense_is_told(changes: dict[str, Any], problem: str) -> None:
    assert of(changes) == (problem.replace("§", "notifications#1"),)


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "https://", "https://user@chat.example/", "https://a b/", "https://a:0/", "x"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    (problem,) = of({"url": url})
    assert problem.startswith(f"notifications#1.url is {url!r}, want an address as https://")


def test_a_key_of_the_other_kind_is_told() -> None:
    (problem,) = of(MAIL | {"proxy": True})
    assert problem.startswith(
        "notifications#1.proxy is True, want it left out: a notification of kind 'mail' has "
    )


def test_what_a_kind_cannot_do_without_is_told() -> None:
    assert sorted(line.split()[0] for line in of({"kind": "mail"})) == [
        f"notifications#1.{key}" for key in ("host", "sender", "to")
    ]


def test_no_name_stands_twice() -> None:
    assert of(HOOK | {"name": "x"}, MAIL | {"name": "x"}) == (
        "notifications#2.name is 'x', want no name twice: notifications#1.name is it too",
    )
