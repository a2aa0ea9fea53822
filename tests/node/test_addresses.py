"""Addresses in the forms in which people and sockets write them."""

from __future__ import annotations

import pytest

from casgan_dicom.node.addresses import as_address, is_loopback, is_within


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "::FFFF:0A00:0001", True),
        ("10.0.0.1", "::ffff:10.0.0.1%eth0", True),
        ("fe80::1", "fe80:0::1", True),
        ("fd00::a", "FD00:0:0::A", True),
        ("fe80::1%eth0", "FE80:0::1%eth0", True),
        ("fe80::1%eth0", "fe80::1%eth1", False),
        ("fe80::1%eth0", "fe80::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::10.0.0.1", False),
        ("cathlab", "cathlab", False),
        ("", "", False),
        ("10.0.0.9", "10.0.0.0/24", True),
        ("::ffff:10.0.0.9", "10.0.0.0/24", True),
        ("10.0.1.9", "10.0.0.0/24", False),
        ("10.0.0.9", "0.0.0.0/0", True),
        ("fd00::9", "0.0.0.0/0", False),
        ("fd00::9", "fd00::/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("10.0.0.9", "10.0.0.9/24", False),
        ("cathlab", "10.0.0.0/24", False),
    ],
)
def test_addresses_are_compared_as_addresses(one: str, other: str, same: bool) -> None:
    assert is_within(one, other) is same


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0:0::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("::FFFF:7F00:2", True),
        ("localhost", True),
        ("LocalHost", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("localhost.example", False),
        ("[::1]", False),  # not an address, and nothing that a socket takes
        ("127.1", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_in_every_form(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_a_mapped_address_is_one_of_version_4() -> None:
    assert str(as_address("::ffff:0.0.0.0")) == "0.0.0.0"
    assert as_address("10.0.0.1/8") is None
