"""``casgan-dicom node accept`` and ``reject``: what is printed, what is written down, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.node.state.deliveries import Deliveries, Derived
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.reviews import Reviews, Verdict
from tests.node.ledgers import received
from tests.support.factories import uid

Made = dict[str, str]
"""Jobs by name: ``a`` and ``b`` have made something, ``c`` receives."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CASGAN_NODE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def ledger(data: Path) -> Iterator[Ledger]:
    opened = Ledger(Layout(data).ledger)
    yield opened
    opened.close()


@pytest.fixture
def made(ledger: Ledger) -> Made:
    receipts, jobs = Receipts(ledger, "w"), {}
    for name in ("a", "b"):
        job = jobs[name] = receipts.enter(received(name, series=name), 1.0).job
        for opened in JobList(ledger).receiving(1000.0):
            assert JobList(ledger).close(opened.job, opened.series, 2.0)
        derived = Derived(uid(f"of {name}"), uid("run"), Path(f"/outbox/{name}"), "0" * 64, 3)
        assert Deliveries(ledger).put(job, [derived], [], 3.0)
    jobs["c"] = receipts.enter(received("c", series="c"), 1.0).job
    return jobs


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", *arguments])


def test_accepted_and_rejected_is_shown_among_the_jobs(made: Made) -> None:
    accepted = run("accept", made["a"])
    rejected = run("reject", made["b"], "--reason", "motion", "--text", "all of it", "--by", "A. Reviewer")

    assert (accepted.exit_code, accepted.stdout) == (0, f"{made['a']}  accepted\n")
    assert (rejected.exit_code, rejected.stdout) == (0, f"{made['b']}  rejected\n")
    rows = {row["job"]: row for row in json.loads(run("jobs", "--json").stdout)}
    (review,) = rows[made["b"]]["reviews"]
    assert review["verdict"] == {
        "outcome": "rejected",
        "reason": "motion",
        "text": "all of it",
        "reviewer": "A. Reviewer",
    }
    assert rows[made["a"]]["reviews"][0]["record"] == "due"
    assert rows[made["c"]]["reviews"] == []
    shown = run("jobs").stdout
    assert "rejected: motion" in shown
    assert "all of it" not in shown


def test_several_jobs_have_one_verdict_and_the_same_again_is_said(made: Made) -> None:
    first = json.loads(run("accept", "--json", made["a"], made["b"]).stdout)
    again = run("accept", made["a"], made["a"])

    assert first == {"verdict": "accepted", "reason": "", "jobs": [made["a"], made["b"]], "unchanged": []}
    assert (again.exit_code, again.stdout) == (0, "")
    assert "the same as before" in again.stderr


def test_no_job_has_a_verdict_unless_all_can(ledger: Ledger, made: Made) -> None:
    under_way = run("accept", made["a"], made["c"])
    unknown = run("accept", made["a"], "0123456789abcdef")

    assert (under_way.exit_code, unknown.exit_code) == (3, 5)
    assert "is receiving" in under_way.stderr
    assert "no job 0123456789abcdef" in unknown.stderr
    assert Reviews(ledger).of(made["a"]) == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        (("--reason", "ugly"), 2),
        (("--reason", "other"), 5),
        (("--reason", "motion", "--text", "a\nb"), 5),
        (("--reason", "motion", "--by", "A^B"), 5),
    ],
)
def test_what_cannot_be_said_is_refused(
    ledger: Ledger, made: Made, options: tuple[str, ...], code: int
) -> None:
    assert run("reject", made["a"], *options).exit_code == code
    assert Reviews(ledger).of(made["a"]) == []


def test_every_reason_is_in_the_help() -> None:
    shown = "".join(run("reject", "--help").stdout.split())

    assert all(reason in shown for reason in REASONS)


def test_a_verdict_stands_in_the_audit_trail_and_its_words_do_not(data: Path, made: Made) -> None:
    run("reject", made["a"], "--reason", "other", "--text", "Doe, Jane", "--by", "A. Reviewer")

    trail = Layout(data).audit.read_text()
    assert trail.count("\n") == 1
    assert "A. Reviewer" in trail
    assert "Doe" not in trail


def test_an_object_that_could_not_be_made_is_told_and_tried_again(ledger: Ledger, made: Made) -> None:
    reviews = Reviews(ledger)
    reviews.decide(made["a"], Verdict("accepted"), 5.0)
    reviews.fail(reviews.due()[0], "a file is gone")

    assert "object of verdict 1: a file is gone" in run("jobs").stderr
    assert json.loads(run("retry", "--json").stdout)["reviews"] == [made["a"]]
    assert [each.job for each in reviews.due()] == [made["a"]]
