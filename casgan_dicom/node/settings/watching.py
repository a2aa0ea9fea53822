"""Who looks at the node: its page."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.node.settings.units import MEBIBYTE


@dataclass(frozen=True)
class PageSettings:
    """The page of the node, its JSON interface and the answers to health checks, on a port of their own."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback also needs `tokens_file`, and TLS. Default: this machine
    only."""
    port: int = 0
    """TCP port, such as 8044; 0 for none: then there is no page."""
    tls_certificate: str = ""
    """PEM file: our certificate, and behind it those that lead to an authority. Empty: HTTP without TLS."""
    tls_key: str = ""
    """PEM file: the private key of it, without a password."""
    tls_authorities: str = ""
    """PEM file: the authorities that a browser must show a certificate of. Empty: none is asked for one."""
    unencrypted: bool = False
    """Whether to listen without TLS elsewhere than on loopback: anybody on the way can read tokens."""
    tokens_file: str = ""
    """File with a line for each person or program: a name without spaces, `look` or `act`, and a token. Read
    again when it changes. Empty: one token is made in the data folder, in the file `page_tokens`."""
    names: tuple[str, ...] = ()
    """Names besides `host`, localhost and addresses by which browsers call this machine; another is refused:
    a page of somebody else may lead here under it."""
    session_seconds: float = 28800.0
    """So long after the login a browser has to show its token again."""
    max_connections: int = 100
    """Live connections in all."""
    max_connections_per_address: int = 25
    """Live connections from one address; behind a reverse proxy, all come from its address."""
    max_trial_bytes: int = 512 * MEBIBYTE
    """Length of a file that rules are tried on; a longer one is answered 413."""
    idle_seconds: float = 30.0
    """A request of which nothing comes for so long is ended."""
