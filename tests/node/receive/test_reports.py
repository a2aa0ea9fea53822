"""Whose report counts for which destination."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.node.receive.reports import addresses_of, reporters
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, PeerSettings

PACS = DestinationSettings("pacs", "pacs.example", 104, "PACS", commitment=True)
OTHER = DestinationSettings("other", "10.1.2.9", 104, "OTHER", commitment=True)
UNASKED = DestinationSettings("unasked", "pacs.example", 105, "PACS")


def resolve(host: str) -> tuple[str, ...]:
    return {"pacs.example": ("10.1.2.4", "fd00::4")}.get(host, (host,))


@pytest.mark.parametrize(
    ("calling", "address", "names"),
    [
        ("PACS", "10.1.2.4", ("pacs",)),
        ("PACS", "::ffff:10.1.2.4", ("pacs",)),
        ("PACS", "fd00::4", ("pacs",)),
        ("OTHER", "10.1.2.9", ("other",)),
        ("OTHER", "10.1.2.4", ()),
        ("PACS", "10.1.2.5", ()),
        ("PACS", "127.0.0.1", ()),
        ("pacs", "10.1.2.4", ()),
        ("STRANGER", "10.1.2.4", ()),
    ],
)
def test_who_comes_from_the_destination_speaks_for_it(
    calling: str, address: str, names: tuple[str, ...]
) -> None:
    settings = NodeSettings(data=Path("/x"), destinations=(PACS, OTHER, UNASKED))

    assert reporters(settings, calling, address, resolve) == names


def test_an_address_that_peers_give_the_title_counts_too() -> None:
    known = PeerSettings("PACS", address="10.9.0.0/16")
    settings = NodeSettings(data=Path("/x"), destinations=(PACS, OTHER, UNASKED), peers=(known,))

    assert reporters(settings, "PACS", "10.9.1.1", resolve) == ("pacs",)
    assert reporters(settings, "PACS", "10.8.1.1", resolve) == ()
    assert reporters(settings, "OTHER", "10.9.1.1", resolve) == ()


def test_a_host_that_nobody_knows_has_no_address() -> None:
    assert addresses_of("no such host.invalid") == ()
    assert addresses_of("127.0.0.1") == ("127.0.0.1",)
