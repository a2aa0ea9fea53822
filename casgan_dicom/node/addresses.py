"""IP addresses as people and sockets write them: which of them are the same, and which are this machine.

A socket of IP version 6 tells of a peer of version 4 as ``::ffff:10.0.0.1``: that is the address 10.0.0.1. A
zone, as in ``fe80::1%eth0``, is part of an address: the same number on another interface is somebody else.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def as_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, in version 4 where it is one that was mapped into version 6; None if it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def as_network(text: str) -> IPv4Network | IPv6Network | None:
    """The network that ``10.1.0.0/16`` names, without bits beyond its prefix; None if it is none."""
    try:
        return ip_network(text) if "/" in text else None
    except ValueError:
        return None


def is_within(address: str, place: str) -> bool:
    """Whether an IP address, in whatever form, is `place` or in it: an address or a network; False if not."""
    found, network = as_address(address), as_network(place)
    if found is None:
        return False
    return found == as_address(place) if network is None else found in network


def is_loopback(host: str) -> bool:
    """Whether a text is an address of this machine itself, or the name that every machine gives itself."""
    address = as_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
