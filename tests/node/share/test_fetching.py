"""Files of other hosts: got over real HTTP, whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from casgan_dicom.node.settings import HostSettings
from casgan_dicom.node.share.absence import AwayError, GoneError
from casgan_dicom.node.state.hosts import Hosts
from tests.node.secure import Authority, Pair
from tests.node.several import secret_in
from tests.node.share.sharing import Sharing, sharing


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharing]:
    with sharing(tmp_path) as running:
        yield running


def test_an_instance_and_an_object_come_in_every_byte(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    with shared.ledger.reading() as db:
        job = db.execute("SELECT job FROM jobs").fetchone()["job"]
    made = shared.make(job, "made", b"an object", hashlib.sha256(b"an object").hexdigest())
    fetcher = shared.fetcher()

    assert fetcher.get(held, tmp_path / "into").read_bytes() == held.path.read_bytes()
    assert fetcher.get(made, tmp_path / "into").read_bytes() == b"an object"
    assert fetcher.is_whole(held)
    assert {path.suffix for path in (tmp_path / "into").iterdir()} == {".dcm"}


def test_over_tls_the_certificate_of_the_host_is_checked(
    tmp_path: Path, authority: Authority, node: Pair
) -> None:
    keys = {"tls_certificate": str(node.certificate), "tls_key": str(node.key)}
    with sharing(tmp_path, tls_authorities=str(authority.certificate), **keys) as shared:
        held = shared.receive("one")
        assert shared.url.startswith("https://")
        assert shared.fetcher().get(held, tmp_path / "into").read_bytes() == held.path.read_bytes()

        other = Authority.make(tmp_path / "other", "other")
        with pytest.raises(AwayError):
            shared.fetcher(0.2, tls_authorities=str(other.certificate)).get(held, tmp_path / "again")


def test_a_file_that_is_there_is_not_asked_for_again(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    path = shared.fetcher().get(held, tmp_path / "into")
    held.path.unlink()

    assert shared.fetcher().get(held, tmp_path / "into") == path


def test_a_wrong_secret_gets_nothing(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    wrong = tmp_path / "wrong"
    wrong.write_text("y" * 40)
    wrong.chmod(0o600)

    with pytest.raises(AwayError, match="answers 401"):
        shared.fetcher(0.2, secret_file=str(wrong)).get(held, tmp_path / "into")
    assert not shared.fetcher(0.2, secret_file=str(wrong)).is_whole(held)


@pytest.mark.parametrize("fault", ["gone", "damaged"])
def test_a_file_that_is_missing_or_damaged_is_named_and_nothing_stays(
    shared: Sharing, tmp_path: Path, fault: str
) -> None:
    held = shared.receive("one")
    if fault == "gone":
        held.path.unlink()
    else:
        held.path.write_bytes(held.path.read_bytes()[:-1] + b"!")

    with pytest.raises(GoneError, match=held.sop_uid):
        shared.fetcher(0.2).get(held, tmp_path / "into")

    assert not list((tmp_path / "into").glob("*.dcm"))
    assert not shared.fetcher().is_whole(held)


def test_a_host_that_was_forgotten_has_nothing(shared: Sharing, tmp_path: Path) -> None:
    held = replace(shared.receive("one"), host="forgotten")

    with pytest.raises(GoneError, match="none of ours"):
        shared.fetcher(0.2).get(held, tmp_path / "into")


def test_what_came_of_another_file_is_thrown_away(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    into = tmp_path / "into"
    into.mkdir()
    (into / f".{held.sop_uid}-{held.sha256[:16]}.dcm.part").write_bytes(b"of another file")

    assert shared.fetcher().get(held, into).read_bytes() == held.path.read_bytes()


def test_many_who_want_one_file_get_it_once_and_whole(shared: Sharing, tmp_path: Path) -> None:
    held, got = shared.receive("one"), list[bytes]()
    fetcher = shared.fetcher(10)

    def get() -> None:
        got.append(fetcher.get(held, tmp_path / "into").read_bytes())

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == [held.path.read_bytes()] * 8
    assert len(list((tmp_path / "into").iterdir())) == 1


class Broken(BaseHTTPRequestHandler):
    """Gives a few bytes more of a file each time it is asked, and hangs up."""

    content = b""
    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer."""
        begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.ranges.append(self.headers["Range"])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin : begin + 20_000])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_connection_that_breaks_is_taken_up_where_it_was(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    Broken.content, Broken.ranges = held.path.read_bytes(), []
    assert 20_000 < len(Broken.content) < 200_000
    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with shared.ledger.transaction() as db:
        db.execute("UPDATE hosts SET address = ?", [f"http://127.0.0.1:{server.server_address[1]}"])

    got = shared.fetcher(10).get(held, tmp_path / "into")

    assert got.read_bytes() == Broken.content
    assert Broken.ranges == [f"bytes={begin}-" for begin in range(0, len(Broken.content), 20_000)]
    server.shutdown()
    server.server_close()


def test_a_host_that_cannot_be_reached_is_away(shared: Sharing, tmp_path: Path) -> None:
    held = shared.receive("one")
    with shared.ledger.transaction() as db:
        db.execute("UPDATE hosts SET address = 'http://127.0.0.1:1'")

    with pytest.raises(AwayError, match="does not give it now"):
        shared.fetcher(0.2).get(held, tmp_path / "into")
    assert not shared.fetcher().is_whole(held)


def test_the_files_of_a_file_system_that_all_have_are_read_there(shared: Sharing) -> None:
    held = shared.receive("one")
    own = replace(shared.settings.host, name="b", secret_file=str(secret_in(shared.settings.data.parent)))
    fetcher = type(shared.fetcher())

    def is_here(host: HostSettings) -> bool:
        settings = replace(shared.settings, host=host)
        return fetcher(settings, Hosts(shared.ledger), lambda: 0.0).is_here(held)

    assert (is_here(own), is_here(replace(own, shared=True))) == (False, True)
