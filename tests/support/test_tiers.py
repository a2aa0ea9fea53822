"""The list of slow tests: what it says is there, and it is measured as it claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import tiers
from tests.support.tiers import Measurement, is_slow, slow_names

ROOT = Path(__file__).resolve().parents[2]


def report(nodeid: str, when: str, duration: float) -> pytest.TestReport:
    return pytest.TestReport(nodeid, ("", 0, ""), {}, "passed", None, when, (), duration)  # type: ignore[arg-type]


def test_every_name_on_the_list_is_that_of_a_test_or_a_file() -> None:
    gone = []
    for name in slow_names():
        file, _, test = name.partition("::")
        path = ROOT / file
        known = path.is_file() and (not test or re.search(rf"def {test}\(", path.read_text(encoding="utf-8")))
        gone += [] if known else [name]

    assert slow_names()
    assert gone == []


def test_a_test_is_slow_with_any_parameters_and_with_its_file() -> None:
    names = {"tests/test_a.py::test_one", "tests/test_b.py"}

    assert is_slow("tests/test_a.py::test_one[x-1]", names)
    assert is_slow("tests/test_b.py::test_two", names)
    assert not is_slow("tests/test_a.py::test_one_more", names)


def test_what_ran_is_listed_anew_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "LIST", tmp_path / "list.txt")
    tiers.LIST.write_text("# head\na.py::test_elsewhere\nb.py::test_faster_now\n")
    measured = Measurement()
    for each in (
        report("b.py::test_faster_now", "call", 0.5),
        report("b.py::test_slow[1]", "call", 0.8),
        report("b.py::test_slow[1]", "teardown", 0.3),
        report("c.py::test_with_a_dear_fixture", "setup", 1.1),
        report("c.py::test_slow_beside_it", "call", 3.0),
        report("d.py::test_on_both_databases[sqlite]", "call", 0.1),
        report("d.py::test_on_both_databases[postgres]", "setup", 2.0),
        report("d.py::test_on_both_databases[postgres]", "call", 2.0),
    ):
        measured.pytest_runtest_logreport(each)

    measured.pytest_sessionfinish()

    assert slow_names() == {"a.py::test_elsewhere", "b.py::test_slow", "c.py"}
