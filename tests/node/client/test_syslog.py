"""Lines to a syslog server, over real sockets: a server that reads, hangs, resets, or is another one."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from casgan_dicom.errors import PeerError
from casgan_dicom.node.certificates import NamedFile, TlsFiles
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.syslog import LONGEST_DATAGRAM, SyslogServer, send_lines
from casgan_dicom.node.tls import client_context
from tests.node.secure import Authority, Pair
from tests.support import syslog_server
from tests.support.waiting import wait_for

LINES = [b"<85>1 one", "<85>1 zw\xf6lf".encode(), b"<85>1 " + b"long " * 20_000]


@dataclass(frozen=True)
class House:
    """An authority, and a server of it."""

    authority: Authority
    node: Pair

    def server(self, *, asks: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.node.certificate, self.node.key)
        if asks:
            context.load_verify_locations(self.authority.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def ours(self, *, pair: Pair | None = None, name: str = "127.0.0.1") -> PeerTls:
        files = TlsFiles(
            NamedFile("audit.tls_certificate", pair.certificate) if pair else None,
            NamedFile("audit.tls_key", pair.key) if pair else None,
            NamedFile("audit.tls_authorities", self.authority.certificate),
        )
        return PeerTls(lambda: client_context(files), files, name)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    authority = Authority.make(tmp_path_factory.mktemp("house"), "ca")
    return House(authority, authority.issue("syslog"))


def place(port: int, transport: str, tls: PeerTls | None = None, seconds: float = 20) -> SyslogServer:
    return SyslogServer("127.0.0.1", port, transport, tls, seconds)


def test_over_tls_every_line_arrives_in_its_order(house: House) -> None:
    with syslog_server.SyslogServer(tls=house.server()) as server:
        send_lines(place(server.port, "tls", house.ours()), LINES)

        assert server.messages == LINES


def test_over_tcp_every_line_arrives_in_its_order() -> None:
    with syslog_server.SyslogServer() as server:
        send_lines(place(server.port, "tcp"), LINES)

        assert server.messages == LINES


def test_over_udp_a_line_is_a_datagram_and_a_longer_one_is_cut_off() -> None:
    with syslog_server.SyslogServer(udp=True) as server:
        send_lines(place(server.port, "udp"), LINES)
        wait_for(lambda: len(server.messages) == 3, "three datagrams", 30)

        assert server.messages == [*LINES[:2], LINES[2][:LONGEST_DATAGRAM]]


def test_a_server_gets_the_certificate_that_it_asks_for(house: House, tmp_path: Path) -> None:
    ours = house.authority.issue("audit-client")
    with syslog_server.SyslogServer(tls=house.server(asks=True)) as server:
        send_lines(place(server.port, "tls", house.ours(pair=ours)), LINES)

        assert server.messages == LINES


def test_a_server_that_asks_for_a_certificate_gets_nothing_without(house: House) -> None:
    with syslog_server.SyslogServer(tls=house.server(asks=True)) as server:
        with pytest.raises(PeerError) as caught:
            send_lines(place(server.port, "tls", house.ours()), LINES)

        assert server.messages == []
        assert "certificate of ours" in caught.value.message
        assert "tls_certificate" in caught.value.hint


def test_a_server_of_another_authority_gets_nothing(house: House, tmp_path: Path) -> None:
    other = Authority.make(tmp_path, "other")
    stranger = replace(house, node=other.issue("syslog"))
    with syslog_server.SyslogServer(tls=stranger.server()) as server:
        with pytest.raises(PeerError, match="comes from no authority that is trusted here"):
            send_lines(place(server.port, "tls", house.ours()), LINES)

        assert server.messages == []


def test_a_server_of_another_name_gets_nothing(house: House) -> None:
    with syslog_server.SyslogServer(tls=house.server()) as server:
        with pytest.raises(PeerError, match=r"another name than 'syslog\.example'"):
            send_lines(place(server.port, "tls", house.ours(name="syslog.example")), LINES)

        assert server.messages == []


def test_a_server_that_talks_no_tls_is_told_as_such(house: House) -> None:
    with syslog_server.SyslogServer() as server:
        server.turns = ["hang"]
        with pytest.raises(PeerError):
            send_lines(place(server.port, "tls", house.ours(), 0.5), LINES)

        assert server.messages == []


def test_a_server_that_ends_without_a_goodbye_of_tls_has_read_all(house: House) -> None:
    with syslog_server.SyslogServer(tls=house.server()) as server:
        server.turns = ["rude"]
        send_lines(place(server.port, "tls", house.ours()), LINES)

        assert server.messages == LINES


@pytest.mark.parametrize("secured", [True, False], ids=["tls", "tcp"])
@pytest.mark.parametrize("turn", ["hang", "reset", "reset unread", "deaf"])
def test_lines_that_may_not_have_arrived_are_an_error(house: House, turn: str, secured: bool) -> None:
    with syslog_server.SyslogServer(tls=house.server() if secured else None) as server:
        server.turns = [turn]
        to = place(server.port, "tls", house.ours(), 1) if secured else place(server.port, "tcp", None, 1)

        with pytest.raises(PeerError):
            send_lines(to, LINES[:2])


@pytest.mark.parametrize("transport", ["tls", "tcp", "udp"])
def test_a_closed_port_is_told_as_such(house: House, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    with pytest.raises(PeerError, match="port is closed"):
        send_lines(place(port, transport, house.ours()), LINES[:1])


def test_an_unknown_host_is_told_as_such() -> None:
    with pytest.raises(PeerError, match="host is unknown"):
        send_lines(SyslogServer("no such host", 601, "tcp", None, 5), LINES[:1])
