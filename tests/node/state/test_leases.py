"""Leases: one holder at a time, a token that only grows, and nothing written by who has lost one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.leases import Lease, LeaseLostError, Leases, fence, renewed, take_away, taken
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.postgres_place import Place
from casgan_dicom.node.state.receipts import Receipts
from tests.node.ledgers import received

FREE = Lease("coordinator", "", 0, 0.0)


def test_a_free_lease_is_taken_and_its_token_grows() -> None:
    assert taken(FREE, "a", 100.0, 15.0) == Lease("coordinator", "a", 1, 115.0)


@pytest.mark.parametrize(("now", "token"), [(114.9, None), (115.0, 2), (900.0, 2)])
def test_what_another_has_is_taken_when_it_has_ended(now: float, token: int | None) -> None:
    mine = taken(Lease("coordinator", "a", 1, 115.0), "b", now, 15.0)

    assert (mine and mine.token) == token


def test_who_takes_what_he_had_gets_another_token() -> None:
    """What he ran when he took it first may still run, and is not to be believed any more."""
    mine = taken(Lease("coordinator", "a", 1, 115.0), "a", 101.0, 15.0)

    assert mine == Lease("coordinator", "a", 2, 116.0)


def test_a_lease_that_has_ended_is_renewed_while_nobody_has_taken_it() -> None:
    mine = Lease("coordinator", "a", 1, 115.0)

    assert renewed(mine, mine, 500.0, 15.0) == Lease("coordinator", "a", 1, 515.0)
    assert renewed(Lease("coordinator", "b", 2, 600.0), mine, 500.0, 15.0) is None
    assert renewed(Lease("coordinator", "", 2, 0.0), mine, 500.0, 15.0) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "renew"]), st.floats(0.1, 40.0)),
        max_size=40,
    )
)
def test_no_two_hold_it_at_a_time_and_no_token_comes_twice(moves: list[tuple[str, str, float]]) -> None:
    now, held, mine = 1000.0, FREE, dict[str, Lease]()
    tokens = dict[int, str]()
    for who, what, passed in moves:
        now += passed
        wanted = taken(held, who, now, 15.0) if what == "take" else None
        if what == "renew" and who in mine:
            wanted = renewed(held, mine[who], now, 15.0)
        if wanted is None:
            continue
        assert who == held.holder or held.until <= now
        assert tokens.setdefault(wanted.token, who) == who
        assert wanted.token >= held.token
        held = mine[who] = wanted


@pytest.fixture
def another(place: Place, ledger: Ledger) -> Iterator[Ledger]:
    """The ledger as another host has it open."""
    opened = Ledger(place)
    yield opened
    opened.close()


def test_of_two_hosts_one_gets_a_lease_and_the_other_when_it_ends(ledger: Ledger, another: Ledger) -> None:
    clock = [100.0]
    first, second = (Leases(each, lambda _: clock[0]) for each in (ledger, another))

    mine = first.take("puller", "a", 15.0)
    assert mine == Lease("puller", "a", 1, 115.0)
    assert second.take("puller", "b", 15.0) is None
    clock[0] = 110.0
    assert first.renew(mine, 15.0) == Lease("puller", "a", 1, 125.0)
    clock[0] = 124.0
    assert second.take("puller", "b", 15.0) is None
    clock[0] = 125.0
    assert second.take("puller", "b", 15.0) == Lease("puller", "b", 2, 140.0)
    assert first.renew(mine, 15.0) is None
    first.let_go(mine)
    assert second.find("puller").until == 140.0


def test_the_time_is_that_of_the_database_whatever_the_clock_of_the_host(ledger: Ledger) -> None:
    leases = Leases(ledger)
    mine = leases.take("puller", "a", 30.0)
    assert mine is not None

    assert leases.take("puller", "b", 30.0) is None
    leases.let_go(mine)
    found = leases.take("puller", "b", 30.0)

    assert found is not None
    assert 29.0 < found.until - mine.until + 30.0 < 90.0


def test_who_has_lost_a_lease_writes_nothing_alone_or_together_with_others(
    ledger: Ledger, another: Ledger
) -> None:
    job = Receipts(another, "r").enter(received("a"), 1.0).job
    mine = Leases(ledger).take("coordinator", "a", 15.0)
    assert mine is not None
    fence(ledger, mine)
    assert JobList(ledger).enter(job, "queued", 2.0)
    with another.transaction() as db:
        take_away(db, "coordinator")

    with pytest.raises(LeaseLostError, match="was taken by another"):
        JobList(ledger).enter(job, "failed", 3.0)
    with pytest.raises(LeaseLostError):
        Receipts(ledger, "r").enter(received("b"), 3.0)

    with another.reading() as db:
        assert [row["state"] for row in db.execute("SELECT state FROM jobs")] == ["queued"]
        assert len(db.execute("SELECT sop_uid FROM instances").fetchall()) == 1


def test_what_a_holder_began_is_undone_where_its_lease_was_taken_meanwhile(
    ledger: Ledger, another: Ledger
) -> None:
    """The fence is asked inside the transaction: no write slips between the question and the commit."""
    job = Receipts(another, "r").enter(received("a"), 1.0).job
    mine = Leases(ledger).take("coordinator", "a", 15.0)
    assert mine is not None
    fence(ledger, mine)

    with ledger.transaction() as db:
        db.execute("UPDATE jobs SET place = 'here' WHERE job = ?", [job])
    stolen = Leases(another, lambda _: mine.until + 1).take("coordinator", "b", 15.0)
    with pytest.raises(LeaseLostError), ledger.transaction() as db:
        db.execute("UPDATE jobs SET place = 'late' WHERE job = ?", [job])

    assert stolen is not None
    with another.reading() as db:
        assert db.execute("SELECT place FROM jobs").fetchone()["place"] == "here"
