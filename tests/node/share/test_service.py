"""What a host gives to others over HTTP, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from casgan_dicom.node.share.signature import Secret
from casgan_dicom.node.state.clock import SharedClock
from tests.node.several import secret_in
from tests.node.share.sharing import Sharing, sharing
from tests.support.factories import uid


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharing]:
    with sharing(tmp_path) as running:
        yield running


def ask(shared: Sharing, path: str, begin: int = 0, *, signed: str | None = None) -> httpx.Response:
    """Ask by a client of somebody else; `signed` is the path that was signed, if that is another."""
    secret = Secret(secret_in(shared.settings.data.parent))
    header = secret.sign(signed or path, begin, SharedClock(shared.ledger)())
    headers = {"Authorization": header, "Range": f"bytes={begin}-"}
    return httpx.get(shared.url + path, headers=headers, timeout=60, trust_env=False)


def test_an_instance_is_given_in_every_byte_and_from_any_byte_on(shared: Sharing) -> None:
    held = shared.receive("one")
    content, path = held.path.read_bytes(), f"/instances/{held.sop_uid}/{held.sha256}"

    assert (ask(shared, path).status_code, ask(shared, path).content) == (200, content)
    rest = ask(shared, path, 1000)
    assert (rest.status_code, rest.content) == (206, content[1000:])
    assert ask(shared, path, len(content)).content == b""
    assert ask(shared, path, len(content) + 1).status_code == 416


def test_an_object_that_was_made_is_given(shared: Sharing) -> None:
    received = shared.receive("one")
    (job,) = jobs_of(shared)
    held = shared.make(job, "made", b"an object", "ab")

    assert ask(shared, f"/objects/{job}/{held.sop_uid}").content == b"an object"
    assert ask(shared, f"/objects/other/{held.sop_uid}").status_code == 404
    assert ask(shared, f"/objects/{job}/{received.sop_uid}").status_code == 404


def jobs_of(shared: Sharing) -> list[str]:
    with shared.ledger.reading() as db:
        return [row["job"] for row in db.execute("SELECT job FROM jobs")]


def test_whether_an_instance_is_whole_is_told_from_its_bytes(shared: Sharing) -> None:
    held = shared.receive("one")
    path = f"/instances/{held.sop_uid}/{held.sha256}/whole"
    assert ask(shared, path).status_code == 204

    content = bytearray(held.path.read_bytes())
    content[-1] ^= 1
    held.path.write_bytes(content)
    assert ask(shared, path).status_code == 404

    held.path.unlink()
    assert ask(shared, path).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer x"}, {"Authorization": "CASGAN-HMAC-SHA256 0.000 00"}],
)
def test_who_does_not_know_the_secret_gets_nothing_and_learns_nothing(
    shared: Sharing, headers: dict[str, str]
) -> None:
    held = shared.receive("one")
    for path in (f"/instances/{held.sop_uid}/{held.sha256}", f"/instances/{uid('none')}/{held.sha256}"):
        answer = httpx.get(shared.url + path, headers=headers, timeout=60, trust_env=False)

        assert answer.status_code == 401
        assert answer.content == b"a signature of one of our hosts is needed\n"


def test_a_signature_is_good_for_what_was_signed(shared: Sharing) -> None:
    first, second = shared.receive("one"), shared.receive("two")
    asked, signed = (f"/instances/{each.sop_uid}/{each.sha256}" for each in (first, second))

    assert ask(shared, asked, signed=signed).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/instances/../../node.sqlite",
        "/instances/%2e%2e%2f%2e%2e%2fnode.sqlite/ab",
        "/instances/1.2.3/..%2f..%2fnode.sqlite",
        "/objects/..%2f../node.sqlite",
        "/objects/%2fetc/passwd",
        "//etc/passwd",
        "/spool/",
        "/",
    ],
)
def test_no_path_leads_to_a_file_that_is_not_asked_for_by_its_uid(shared: Sharing, path: str) -> None:
    shared.receive("one")

    answer = ask(shared, path)

    assert answer.status_code in (401, 404)
    assert b"SQLite format" not in answer.content
    assert b"root:" not in answer.content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(shared: Sharing, method: str) -> None:
    held = shared.receive("one")
    path = f"/instances/{held.sop_uid}/{held.sha256}"

    assert httpx.request(method, shared.url + path, timeout=60, trust_env=False).status_code == 405
    assert held.path.exists()


def test_a_file_of_another_host_is_not_looked_for_here(shared: Sharing) -> None:
    """Both may have their data folders at the same path."""
    held = shared.receive("one")
    with shared.ledger.transaction() as db:
        db.execute("UPDATE instances SET host = 'b'")

    assert ask(shared, f"/instances/{held.sop_uid}/{held.sha256}").status_code == 404
