"""Which tests are slow: a list of names, measured, so that `make quick` runs the others in a few minutes.

``slow_tests.txt`` beside this file names tests that took over a second, and whole files whose shared fixtures
did. ``make test ARGS=--measure-tiers`` brings it up to date for what it runs; a new test is quick until then.
A test that runs on both databases is marked slow where it runs on PostgreSQL, whose server takes its time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("slow_tests.txt")
"""A line each: a test without its parameters, or a file all of whose tests are slow."""

LONGEST_QUICK_SECONDS = 1.0
"""A test that takes longer is slow; so is a file whose shared fixtures do."""

_HEAD = (
    "# Tests of over a second, and files whose shared fixtures take as long; written by --measure-tiers.\n"
)


def slow_names() -> frozenset[str]:
    """The names on the list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def is_slow(nodeid: str, names: Iterable[str]) -> bool:
    """Whether a test, as pytest names it, or its file is on the list."""
    test = nodeid.partition("[")[0]
    return test in names or test.partition("::")[0] in names


class Measurement:
    """Adds up what every test takes; a plugin of the process that collects the reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.slow_files: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of a test; a long set-up is that of a fixture that its whole file shares."""
        if "postgres" in report.nodeid.partition("[")[2]:
            return
        self.seconds[report.nodeid] += report.duration
        if report.when == "setup" and report.duration > LONGEST_QUICK_SECONDS:
            self.slow_files.add(report.nodeid.partition("::")[0])

    def pytest_sessionfinish(self) -> None:
        """Write the list; what did not run stays as it was."""
        LIST.write_text(_HEAD + "".join(f"{name}\n" for name in sorted(self._names())), encoding="utf-8")

    def _names(self) -> set[str]:
        tests = {nodeid.partition("[")[0] for nodeid in self.seconds}
        files = {test.partition("::")[0] for test in tests}
        slow = {id_.partition("[")[0] for id_, taken in self.seconds.items() if taken > LONGEST_QUICK_SECONDS}
        ours = {test for test in slow if test.partition("::")[0] not in self.slow_files}
        return ours | self.slow_files | {name for name in slow_names() if name not in tests | files}
