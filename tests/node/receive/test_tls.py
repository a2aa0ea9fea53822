"""TLS at the listener: who is let in by it, who is not and why, and that nobody waits for either."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casgan_dicom.node.receive.peer_socket import Limits
from casgan_dicom.node.settings import PeerSettings
from tests.node.listening import (
    Listening,
    data_set,
    events,
    listening,
    log_lines,
    wait_for,
)
from tests.node.secure import Authority, Pair, SecureWire, client, listener_keys
from tests.node.wire import (
    ASSOCIATE_RJ,
    XA,
    XA_CONTEXT,
    Wire,
    associate_rq,
    p_data,
    store_command,
)
from tests.support.factories import moving_frames, uid

BUSY = bytes([0, 2, 3, 2])
IMPATIENT = Limits(io=0.5, pdu=1.0, request=0.5, idle=1.0)
SLACK = 5.0
"""How much longer than a second an answer may take on a busy machine."""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_instances_come_in_by_tls(
    secure: Listening, authority: Authority, modality: Pair, folder: Path, version: ssl.TLSVersion
) -> None:
    context = client(authority, modality)
    context.minimum_version = context.maximum_version = version
    content = data_set(folder, frames=moving_frames(4, 600, 700), PatientComments="x" * 10_000)

    with SecureWire.let_in(secure.port, context) as wire:
        for _ in range(3):
            assert wire.store(XA, uid("instance"), content).status == 0
        assert wire.echo() == 0
        wire.release()
        assert wire.socket.recv(10) == b""  # close_notify, then the end

    assert len(secure.rows()) == 1


@pytest.mark.parametrize("piece", [1, 100, 16_384, 100_000])
def test_pdus_are_read_whatever_records_they_come_in(
    secure: Listening, authority: Authority, modality: Pair, folder: Path, piece: int
) -> None:
    content = data_set(folder)
    stream = b"".join(
        [p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))), p_data(XA_CONTEXT, 2, content)] * 2
    )
    with SecureWire.let_in(secure.port, client(authority, modality)) as wire:
        for at in range(0, len(stream), piece):
            wire.send(stream[at : at + piece])

        assert [wire.reply().status for _ in range(2)] == [0, 0]


class Refused:
    """How peers come that are not let in, each with what the log says of them.

    Their certificates have names of their own: those of the session are of other tests too.
    """

    def __init__(self, port: int, authority: Authority, folder: Path) -> None:
        self.port, self.authority, self.folder = port, authority, folder

    def plain(self) -> None:
        with Wire(self.port) as wire:
            wire.send(associate_rq())
            assert wire.is_over()

    def web(self) -> None:
        with Wire(self.port) as wire:
            wire.send(b"GET / HTTP/1.1\r\n\r\n")
            assert wire.is_over()

    def old(self) -> None:
        context = client(self.authority, self.authority.issue("refused"))
        with pytest.deprecated_call():
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        self._fails(context)

    def weak(self) -> None:
        context = client(self.authority, self.authority.issue("refused"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256:DHE-RSA-AES256-GCM-SHA384")
        self._fails(context)

    def bare(self) -> None:
        self._fails(client(self.authority))

    def foreign(self) -> None:
        other = Authority.make(self.folder / "other", "other")
        self._fails(client(self.authority, other.issue("ct9")))

    def expired(self) -> None:
        self._fails(client(self.authority, self.authority.issue("late", days=-1)))

    def mistrusting(self) -> None:
        other = Authority.make(self.folder / "third", "third")
        self._fails(client(other, self.authority.issue("refused")))

    def _fails(self, context: ssl.SSLContext) -> None:
        with pytest.raises((OSError, AssertionError)):
            SecureWire.let_in(self.port, context)


@pytest.mark.parametrize(
    ("come", "reason"),
    [
        (Refused.plain, "what came is not TLS"),
        (Refused.web, "what came is not TLS"),
        (Refused.old, "it offers no TLS of version 1.2 or later"),
        (Refused.weak, "it offers no cipher suite that is taken here"),
        (Refused.bare, "it showed no certificate"),
        (Refused.foreign, "its certificate comes from no authority that is trusted here"),
        (Refused.expired, "its certificate has expired"),
        (Refused.mistrusting, "it does not know the authority of our certificate"),
    ],
)
def test_who_is_refused_is_told_of_in_one_line_in_words(
    tmp_path: Path, authority: Authority, node: Pair, come: Callable[[Refused], None], reason: str
) -> None:
    with log_lines() as stream:
        with listening(tmp_path / "data", **listener_keys(authority, node)) as running:
            come(Refused(running.port, authority, tmp_path))
            wait_for(lambda: "no TLS" in stream.getvalue(), "the line")
            with SecureWire.let_in(running.port, client(authority, authority.issue("another"))) as wire:
                assert wire.echo() == 0
        told = [event for event in events(stream) if event["level"] in ("warning", "error")]

    (line,) = told
    assert (line["event"], line["address"]) == ("no TLS", "127.0.0.1")
    assert line["reason"].startswith(reason)
    assert running.rows("rejections")[0]["reason"] == "TLS"
    assert running.rows("rejections")[0]["count"] == 1


def test_listener_that_asks_nobody_takes_who_shows_no_certificate(
    tmp_path: Path, authority: Authority, node: Pair
) -> None:
    keys = listener_keys(authority, node) | {"tls_asks": False, "tls_authorities": ""}
    with (
        listening(tmp_path / "data", **keys) as running,
        SecureWire.let_in(running.port, client(authority)) as wire,
    ):
        assert wire.echo() == 0


@pytest.mark.parametrize(
    ("bound", "is_let_in"),
    [
        ({"certificate_name": "DNS:ct1.example"}, True),
        ({"certificate_name": "URI:urn:ct:1"}, True),
        ({"certificate_name": "CN:ct1"}, True),
        ({"certificate_name": "DNS:ct2.example"}, False),
        ({"certificate_name": "IP:127.0.0.1"}, False),
        ({"certificate_sha256": "its own"}, True),
        ({"certificate_sha256": "ab" * 32}, False),
    ],
)
def test_ae_title_belongs_to_a_certificate(
    tmp_path: Path, authority: Authority, node: Pair, modality: Pair, bound: dict[str, Any], is_let_in: bool
) -> None:
    if bound.get("certificate_sha256") == "its own":
        bound = {"certificate_sha256": modality.sha256.upper()}
    peers = (PeerSettings("MODALITY", "127.0.0.1", **bound),)
    keys = listener_keys(authority, node)
    with (
        listening(tmp_path / "data", peers=peers, **keys) as running,
        SecureWire(running.port, client(authority, modality)) as wire,
    ):
        wire.send(associate_rq())
        kind, body = wire.read()
    assert (kind != ASSOCIATE_RJ) == is_let_in
    if not is_let_in:
        assert body[1:] == bytes([1, 1, 3])  # permanent, user, calling AE title not recognized
        assert [(row["reason"], row["count"]) for row in running.rows("rejections")] == [("certificate", 1)]


def test_certificates_are_read_again_when_they_change(
    tmp_path: Path, authority: Authority, modality: Pair
) -> None:
    first = authority.issue("node", file="renewed", own_key=True)
    with log_lines() as stream:
        with listening(tmp_path / "data", **listener_keys(authority, first)) as running:

            def shown() -> str:
                with SecureWire(running.port, client(authority, modality)) as wire:
                    assert isinstance(wire.socket, ssl.SSLSocket)
                    content = wire.socket.getpeercert(binary_form=True)
                    assert content is not None
                    return ssl.DER_cert_to_PEM_cert(content)

            old = first.certificate.read_text()
            assert shown().strip() == old.strip()
            first.certificate.write_text("no certificate at all")
            assert shown().strip() == old.strip()
            assert shown().strip() == old.strip()
            new = authority.issue("node", file="renewed", own_key=True).certificate.read_text()
            assert shown().strip() == new.strip() != old.strip()
        told = [
            (event["level"], event["event"]) for event in events(stream) if "certificates" in event["event"]
        ]

    assert told == [
        ("error", "changed certificates are not used"),
        ("info", "changed certificates are used"),
    ]
