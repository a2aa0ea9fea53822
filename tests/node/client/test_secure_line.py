"""TLS with a peer that we call (our listener, Python's ssl, DCMTK), and what is said where it fails."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest
from pydicom import dcmread

from casgan_dicom.errors import PeerError
from casgan_dicom.node.certificates import NamedFile, TlsFiles
from casgan_dicom.node.client.peer import Peer
from casgan_dicom.node.client.peer_tls import PeerTls
from casgan_dicom.node.client.results import StoreResult
from casgan_dicom.node.client.scu import echo, store
from casgan_dicom.node.tls import client_context
from tests.node.listening import Listening, check_spool, open_files, wait_for
from tests.node.secure import Authority, Pair
from tests.support.factories import moving_frames, uid, write_xa
from tests.support.orthanc import free_ports
from tests.support.programs import find_program


def calling(
    port: int, authority: Authority, pair: Pair | None, *, name: str = "127.0.0.1", title: str = "CASGAN"
) -> Peer:
    """A peer on this machine that we call by TLS."""
    files = TlsFiles(
        None if pair is None else NamedFile("--cert", pair.certificate),
        None if pair is None else NamedFile("--key", pair.key),
        NamedFile("--ca", authority.certificate),
    )
    tls = PeerTls(lambda: client_context(files), files, name)
    return Peer("127.0.0.1", port, title, "MODALITY", 3.0, 5.0, tls)


def test_files_are_stored_by_tls_bit_for_bit(
    secure: Listening, authority: Authority, modality: Pair, folder: Path
) -> None:
    files = [
        write_xa(folder / str(number), moving_frames(3, 300 + number, 400), SOPInstanceUID=uid(f"i {number}"))
        for number in range(20)
    ]
    results = list[StoreResult]()
    threads, before = threading.active_count(), open_files()

    store(calling(secure.port, authority, modality), files, results.append, associations=2)

    assert [result.outcome for result in results] == ["stored"] * 20
    assert check_spool(secure.layout) == 20
    wait_for(lambda: threading.active_count() <= threads, "the threads of before")
    wait_for(lambda: open_files() <= before, "the files of before")


def test_echo_by_tls_works_for_names_and_addresses(
    secure: Listening, authority: Authority, modality: Pair
) -> None:
    for name in ("127.0.0.1", "localhost"):
        assert echo(calling(secure.port, authority, modality, name=name)) < 30


def failure(peer: Peer) -> PeerError:
    with pytest.raises(PeerError) as caught:
        echo(peer)
    assert "Error" not in caught.value.message + caught.value.hint
    return caught.value


def test_wrong_name_is_named(secure: Listening, authority: Authority, modality: Pair) -> None:
    for name, kind in (("pacs.example", "name"), ("10.0.0.1", "address")):
        error = failure(calling(secure.port, authority, modality, name=name))

        assert f"its certificate is for another {kind} than '{name}'" in error.message
        assert "tls_name" in error.hint


def test_foreign_authority_is_named_with_the_file_to_look_at(
    secure: Listening, modality: Pair, tmp_path: Path
) -> None:
    other = Authority.make(tmp_path / "other", "other")

    error = failure(calling(secure.port, other, modality))

    assert "its certificate comes from no authority that is trusted here" in error.message
    assert str(other.certificate) in error.hint
    assert "--ca" in error.hint


def test_expired_certificate_of_a_peer_is_named(authority: Authority, modality: Pair) -> None:
    with tls_server(authority, authority.issue("old", days=-1, file="old")) as port:
        assert "its certificate has expired" in failure(calling(port, authority, modality)).message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_our_certificate_that_is_not_taken_is_named(
    authority: Authority, node: Pair, modality: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    other = Authority.make(tmp_path / "other", "other")
    with tls_server(other, node, version) as port:
        refused = failure(calling(port, authority, modality))
        missing = failure(calling(port, authority, None))

    assert "it does not know the authority of our certificate" in refused.message
    assert str(modality.certificate) in refused.hint
    assert "tls_certificate" in missing.hint


def test_peer_that_only_talks_old_tls_is_named(authority: Authority, node: Pair, modality: Pair) -> None:
    with pytest.deprecated_call(), tls_server(authority, node, ssl.TLSVersion.TLSv1_1) as port:
        assert (
            "it offers no TLS of version 1.2 or later" in failure(calling(port, authority, modality)).message
        )


@pytest.mark.parametrize("says", [b"", b"\7\0\0\0\0\4\0\0\2\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_peer_without_tls_is_named(authority: Authority, modality: Pair, says: bytes) -> None:
    def answer(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(says)

    with server(answer) as port:
        error = failure(calling(port, authority, modality))

    assert "no TLS, what came is not TLS" in error.message or "no TLS, it hung up" in error.message
    assert "talks TLS at this port" in error.hint


def test_listener_without_tls_is_named(running: Listening, authority: Authority, modality: Pair) -> None:
    assert "no TLS" in failure(calling(running.port, authority, modality)).message


def test_call_without_tls_where_tls_is_wanted_says_so(secure: Listening) -> None:
    assert "TLS" in failure(Peer("127.0.0.1", secure.port, "CASGAN", "MODALITY", 3.0, 5.0)).hint


@pytest.mark.parametrize("trickles", [False, True])
def test_peer_that_does_not_shake_hands_is_not_waited_for(
    authority: Authority, modality: Pair, trickles: bool
) -> None:
    over = threading.Event()

    def answer(line: socket.socket) -> None:
        while not over.wait(0.1):
            if trickles:
                line.sendall(b"\x16\x03\x03\x40\x00" if line.recv(4096) else b"")
                line.setblocking(True)
                while not over.wait(0.1):
                    line.sendall(b"\0")

    start = monotonic()
    with server(answer, over) as port:
        error = failure(calling(port, authority, modality))

    assert "the handshake took too long" in error.message
    assert monotonic() - start < 20  # 3 s, and slack


def test_peer_that_hangs_up_in_the_middle_is_no_success(
    authority: Authority, node: Pair, modality: Pair, folder: Path
) -> None:
    """A server that talks TLS, and ends behind the handshake."""
    results = list[StoreResult]()
    with tls_server(authority, node) as port, pytest.raises(PeerError):
        store(calling(port, authority, modality), [write_xa(folder / "x")], results.append)
    assert results == []


def dcmtk(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_program(program, "dcmtk"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("profile", ["+px", "+py", "+pz"])
def test_dcmtk_stores_and_echoes_by_tls(
    secure: Listening, authority: Authority, modality: Pair, folder: Path, profile: str
) -> None:
    files = [str(write_xa(folder / str(number), SOPInstanceUID=uid(f"i {number}"))) for number in range(5)]
    tls = ["+tls", str(modality.key), str(modality.certificate), "+cf", str(authority.certificate), profile]
    there = ["-aec", "CASGAN", "localhost", str(secure.port)]

    assert dcmtk("echoscu", *tls, *there).returncode == 0
    stored = dcmtk("storescu", *tls, *there, *files)

    assert stored.returncode == 0, stored.stderr
    assert check_spool(secure.layout) == 5


def test_dcmtk_without_a_certificate_or_tls_is_refused(secure: Listening, authority: Authority) -> None:
    there = ["-aec", "CASGAN", "localhost", str(secure.port)]

    assert dcmtk("echoscu", "+tla", "+cf", str(authority.certificate), *there).returncode != 0
    assert dcmtk("echoscu", *there).returncode != 0


def test_dcmtk_takes_what_we_send_by_tls(
    authority: Authority, node: Pair, modality: Pair, folder: Path, tmp_path: Path
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (port,) = free_ports(1)
    tls = ["+tls", str(node.key), str(node.certificate), "+cf", str(authority.certificate), "+px"]
    command = [find_program("storescp", "dcmtk"), *tls, "+B", "+uf", "-od", str(into), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port), "storescp")
        peer = calling(port, authority, modality, title="STORESCP")
        sent = write_xa(folder / "x", moving_frames(4, 500, 600))
        results = list[StoreResult]()

        assert echo(peer) < 30
        store(peer, [sent], results.append)

        assert [result.outcome for result in results] == ["stored"]
        (kept,) = into.iterdir()
        assert dcmread(kept).PixelData == dcmread(sent).PixelData
        assert "showed" not in failure(calling(port, authority, None, title="STORESCP")).message
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@contextmanager
def server(answer: Callable[[socket.socket], None], over: threading.Event | None = None) -> Iterator[int]:
    """Something that answers each connection, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = listener.accept()
                    with line, suppress(OSError):
                        answer(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            if over is not None:
                over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


@contextmanager
def tls_server(
    authority: Authority, pair: Pair, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[int]:
    """A server of Python's own that asks for a certificate, and hangs up behind the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version

    def answer(line: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(line, server_side=True) as secure:
            secure.recv(10)

    with server(answer) as port:
        yield port
