"""Whatever happens to series in whatever order, a clean-up takes no file that anybody needs.

What may go is told by a model of its own, which knows what was done and never asks the ledger.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from casgan_dicom.node.settings import RetentionSettings
from casgan_dicom.node.state.deliveries import Attempt, Deliveries, Delivery
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.orders import Orders
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.removals import Removals
from tests.node.work.test_cleaner import Killed, place_in

RULES = RetentionSettings(delivered_seconds=10.0, ended_seconds=10.0, high_bytes=6000, low_bytes=3000)
ENDS = st.sampled_from(["skipped", "failed", "quarantined", "lacking"])
PICK = st.integers(0, 1000)


@dataclass
class Series:
    """What was done to a job."""

    series: str
    state: str = "receiving"
    files: list[Path] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def may_go(self) -> bool:
        """Whether it has come to an end that needs no file; `kept` has no rule here."""
        if self.state == "made":
            return bool(self.answers) and set(self.answers.values()) == {"sent"}
        return self.state in ("skipped", "cancelled")

    @property
    def wants(self) -> bool:
        """Whether it may want any file of its series."""
        return self.state in ("receiving", "failed", "quarantined", "lacking")


class Retention(RuleBasedStateMachine):
    """A node's data folder, and everything that happens in it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._place = place_in(Path(self._folder.name) / "node", RULES)
        self._now = 100.0
        self._jobs: dict[str, Series] = {}
        self._names: list[tuple[str, str]] = []

    def _pick(self, number: int, *states: str) -> tuple[str, Series] | None:
        found = [(job, each) for job, each in self._jobs.items() if each.state in states]
        return found[number % len(found)] if found else None

    @rule(number=st.integers(0, 2))
    def receive(self, number: int) -> None:
        """An instance comes in."""
        name, series = f"i{len(self._names)}", f"s{number}"
        self._names.append((name, series))
        job = self._place.receive(name, self._now, series=series)
        known = self._jobs.setdefault(job, Series(series))
        assert known.state == "receiving"
        known.files.append(self._place.file(name, series))

    @rule(number=PICK, destinations=st.sampled_from([(), ("one",), ("one", "two")]))
    def convert(self, number: int, destinations: tuple[str, ...]) -> None:
        """A series is converted."""
        if (found := self._pick(number, "receiving")) is not None:
            job, known = found
            known.files.append(self._place.made(job, self._now, *destinations))
            known.state, known.answers = "made", dict.fromkeys(destinations, "waiting")

    @rule(number=PICK, state=ENDS)
    def end(self, number: int, state: str) -> None:
        """A series ends otherwise."""
        if (found := self._pick(number, "receiving")) is not None:
            self._place.state(found[0], state, self._now)
            found[1].state = state

    @rule(number=PICK, answer=st.sampled_from(["sent", "dead"]))
    def answer(self, number: int, answer: str) -> None:
        """A destination takes a series, or does not."""
        if (found := self._pick(number, "made")) is not None:
            waiting = [name for name, state in found[1].answers.items() if state == "waiting"]
            for name in waiting[:1]:
                attempt = Attempt(answer, "")  # type: ignore[arg-type]
                Deliveries(self._place.ledger).attempted(Delivery(found[0], name, 1), attempt, self._now)
                found[1].answers[name] = answer

    @rule(number=PICK)
    def cancel(self, number: int) -> None:
        """A person ends a series."""
        if (found := self._pick(number, "receiving", "failed", "quarantined", "lacking")) is not None:
            assert Orders(self._place.ledger).cancel([found[0]], self._now)
            found[1].state = "cancelled"

    @rule(number=PICK)
    def retry(self, number: int) -> None:
        """A person tries again what ended badly, by name."""
        found = self._pick(number, "failed", "quarantined", "cancelled", "skipped")
        if found is not None and JobList(self._place.ledger).retry([found[0]], self._now):
            self._place.state(found[0], "failed", self._now)  # what it comes to, here
            found[1].state = "failed"

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds

    @precondition(lambda self: self._names)
    @rule(number=PICK)
    def resend(self, number: int) -> None:
        """An instance comes in again; what the listener does with it."""
        name, series = self._names[number % len(self._names)]
        came, receipts = self._place.instance(name, series=series), Receipts(self._place.ledger, "w")
        wanted = any(each.wants for each in self._jobs.values() if each.series == series)
        there = came.path.exists()
        if receipts.let_go(came.sop_uid, came.sha256) is not None:
            assert not wanted
            return
        if not there:
            came.path.parent.mkdir(parents=True, exist_ok=True)
            came.path.write_bytes(name.encode().ljust(1000))
            receipts.enter(came, self._now)
            for each in self._jobs.values():
                if each.series == series and each.state == "lacking":
                    each.state = "receiving"

    @rule(killed=st.sampled_from(["", "", "while_given_up", "end"]), after=st.integers(0, 3))
    def clean(self, killed: str, after: int) -> None:
        """Files are removed, by a process that may be killed on its way."""
        before = {path for each in self._jobs.values() for path in each.files if path.exists()}
        if killed:
            self._clean_until_killed(killed, after)
        else:
            self._place.cleaner.round(self._now)
            assert Removals(self._place.ledger).begun() == []
        gone = {path for path in before if not path.exists()}
        wanting = {each.series for each in self._jobs.values() if each.wants}
        for job, each in self._jobs.items():
            if gone.intersection(each.files):
                self._gone(job, each, wanting)

    def _clean_until_killed(self, step: str, after: int) -> None:
        real, calls = getattr(Removals, step), iter(range(100))

        def dying(removals: Removals, *arguments: object) -> None:
            if next(calls) == after:
                raise Killed
            real(removals, *arguments)

        with patch.object(Removals, step, dying), suppress(Killed):
            self._place.cleaner.round(self._now)

    def _gone(self, job: str, known: Series, wanting: set[str]) -> None:
        """Something of a job was removed: it had to be allowed, or begun when it was."""
        assert known.may_go, (job, known.state, known.answers)
        assert known.series not in wanting or self._was_begun(job)

    def _was_begun(self, job: str) -> bool:
        """Whether its removal began before another job came to want it."""
        with self._place.ledger.reading() as db:
            row = db.execute("SELECT removing_at, removed_at FROM jobs WHERE job = ?", [job]).fetchone()
        return row["removing_at"] is not None or row["removed_at"] is not None

    @invariant()
    def what_nobody_finished_with_is_there(self) -> None:
        """Every file that came in with a job that is still at work, or waits for somebody."""
        for each in self._jobs.values():
            if each.state in ("receiving", "made") and not each.may_go:
                assert all(path.exists() for path in each.files), each

    def teardown(self) -> None:
        """In the end, everything that may go is gone, and nothing is half done."""
        self._now += 100.0
        while self._place.cleaner.round(self._now):
            pass
        wanting = {each.series for each in self._jobs.values() if each.wants}
        for each in self._jobs.values():
            if each.may_go and each.series not in wanting:
                assert not any(path.exists() for path in each.files), each
        assert Removals(self._place.ledger).begun() == []
        self._place.ledger.close()
        self._folder.cleanup()


def test_whatever_happens_a_clean_up_takes_nothing_that_is_needed() -> None:
    run_state_machine_as_test(
        Retention, settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )
