"""The log: one event a line, facts as fields, and nothing of a patient, whoever speaks.

Each test logs in a process of its own, because the log belongs to the process.
"""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DA, DSfloat, PersonName

import casgan_dicom
from casgan_dicom.log import get_logger

PATIENT = "DOE^JANE"
PACKAGE = Path(casgan_dicom.__file__).parent
PREAMBLE = """
import logging, sys
from casgan_dicom.log import configure, error_facts, get_logger
log = get_logger("worker")
"""


def run(code: str, *, exit_code: int = 0) -> str:
    """What a process that runs `code` writes to stderr, which is a pipe."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == exit_code, done.stderr
    return done.stderr


def strict(line: str) -> dict[str, Any]:
    """A line of JSON, without the words NaN and Infinity that JSON does not know."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    entry: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return entry


def told(code: str, *, exit_code: int = 0) -> list[dict[str, Any]]:
    """The lines of a process whose stderr is a pipe; each has to be JSON."""
    return [strict(line) for line in run(code, exit_code=exit_code).splitlines()]


def on_terminal(code: str, **environ: str) -> list[str]:
    """The lines of a process whose stderr is a terminal."""
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | environ
    subprocess.run([sys.executable, "-c", PREAMBLE + code], stderr=theirs, check=True, env=env)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1().decode().splitlines()


def test_a_line_has_time_level_event_logger_process_and_fields() -> None:
    before = datetime.now(UTC)
    (entry,) = told('configure(); log.info("series converted", series_uid="1.2", frames=62, seconds=3.5)')
    after = datetime.now(UTC)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    at = datetime.fromisoformat(entry.pop("time"))
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= at <= after
    assert entry.pop("pid") > 1
    assert entry == {
        "level": "info",
        "event": "series converted",
        "logger": "worker",
        "series_uid": "1.2",
        "frames": 62,
        "seconds": 3.5,
    }


def test_a_field_is_text_a_number_true_or_false_nothing_a_path_or_a_list_of_these() -> None:
    (entry,) = told(
        """
from pathlib import Path
from pydicom.uid import UID
configure()
log.info("x", a=True, b=None, c=Path("/p"), d=["x", 1, Path("q")], e=("y",), f=UID("1.2"), g="Ä\\n\\udc80",
         h=float("nan"), i=float("-inf"))
"""
    )
    assert {name: entry[name] for name in "abcdefghi"} == {
        "a": True,
        "b": None,
        "c": "/p",
        "d": ["x", 1, "q"],
        "e": ["y"],
        "f": "1.2",
        "g": "Ä\\x0a\\udc80",
        "h": "nan",
        "i": "-inf",
    }


@pytest.mark.parametrize(
    "value",
    [
        PersonName(PATIENT),
        DA("19700101"),
        DSfloat("72.5"),
        MultiValue(str, [PATIENT]),
        [PersonName(PATIENT)],
        Dataset(),
        b"DOE",
        {"name": "x"},
        np.int64(1),
        datetime(1970, 1, 1),
    ],
)
def test_a_value_that_may_be_a_header_s_is_refused_at_every_level(value: Any) -> None:  # noqa: ANN401
    log = get_logger("test")
    for tell in (log.debug, log.info, log.warning, log.error):
        with pytest.raises(TypeError, match="log field 'x' is a ") as caught:
            tell("x", x=value)
        assert PATIENT not in str(caught.value)
    with pytest.raises(TypeError):
        log.bind(x=value)


@pytest.mark.parametrize("name", ["time", "level", "event", "logger", "pid"])
def test_a_field_takes_no_name_that_every_line_has(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}'"):
        get_logger("test").info("x", **{name: "x"})


def test_a_bound_log_carries_its_facts_and_leaves_the_other_as_it_was() -> None:
    first, second, third = told(
        """
configure()
bound = log.bind(job="j", attempt=1)
bound.info("a", attempt=2)
bound.warning("b")
log.error("c")
"""
    )
    assert (first["job"], first["attempt"]) == ("j", 2)
    assert (second["job"], second["attempt"], second["level"]) == ("j", 1, "warning")
    assert "job" not in third


def test_what_only_helps_to_find_a_fault_is_told_on_demand() -> None:
    code = 'log.debug("a"); log.info("b"); logging.getLogger("x").info("c")'
    assert [entry["event"] for entry in told(f"configure(); {code}")] == ["b"]
    assert [entry["event"] for entry in told(f"configure(level=logging.DEBUG); {code}")] == ["a", "b"]


def test_a_second_configure_replaces_the_first() -> None:
    (entry,) = told('configure(style="text"); configure(); logging.getLogger("dbos").warning("x")')
    assert entry["logger"] == "dbos"


def test_a_terminal_gets_short_lines() -> None:
    (line,) = on_terminal('configure(); log.bind(job="a b").info("series converted", series_uid="1.2", n=3)')
    assert re.fullmatch(r'\d\d:\d\d:\d\d info    worker: series converted job="a b" series_uid=1.2 n=3', line)


def test_a_terminal_gets_colours_unless_somebody_minds() -> None:
    code = 'configure(); log.error("x")'
    assert "\x1b[31merror" in on_terminal(code)[0]
    assert "\x1b" not in on_terminal(code, NO_COLOR="1")[0]


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_event_stays_one_line_whatever_a_peer_calls_itself(style: str) -> None:
    code = f'configure(style="{style}"); log.info("a", ae="X\\n12:00:00 error forged", l=["\\r", "\\x1b[2J"])'
    written = run(code)
    assert written.count("\n") == 1
    assert not re.search(r"[\r\x1b]", written)


def test_each_line_is_one_write() -> None:
    """Processes share stderr: a line in two pieces would be mixed with those of others."""
    written = run(
        """
import io
class Counting(io.StringIO):
    def write(self, text):
        pieces.append(text)
        return len(text)
pieces = []
configure(Counting())
for size in (1, 100, 10000):
    log.info("x", text=size * "x")
sys.stderr.write(repr([(piece.count("\\n"), piece[-1]) for piece in pieces]))
"""
    )
    assert ast.literal_eval(written) == [(1, "\n")] * 3


def test_lines_of_processes_that_share_a_pipe_are_not_mixed() -> None:
    code = 'configure()\nfor n in range(200): log.info("x", n=n, text=3000 * "x")'
    reading, writing = os.pipe()
    command = [sys.executable, "-c", PREAMBLE + code]
    children = [subprocess.Popen(command, stderr=writing) for _ in range(4)]
    os.close(writing)

    with os.fdopen(reading) as pipe:
        entries = [strict(line) for line in pipe]

    assert [child.wait() for child in children] == [0] * 4
    for child in children:
        assert [entry["n"] for entry in entries if entry["pid"] == child.pid] == list(range(200))


def test_a_full_disk_ends_no_process_and_quotes_no_record() -> None:
    code = """
full = open("/dev/full", "w")
configure(full)
log.info("x")
logging.getLogger("x").error("DOE^JANE")
configure()
log.info("still here")
"""
    (entry,) = [entry for entry in told(code) if entry["logger"] == "worker"]
    assert entry["event"] == "still here"


def test_the_log_and_the_settings_load_nothing_heavy() -> None:
    code = "import casgan_dicom.config, casgan_dicom.node.checks; print(*sys.modules, file=sys.stderr)"
    loaded = {name.partition(".")[0] for name in run(code).split()}

    assert "casgan_dicom" in loaded
    assert not loaded & {
        "torch",
        "pydicom",
        "pynetdicom",
        "highdicom",
        "numpy",
        "dbos",
        "sqlalchemy",
        "click",
    }


def calls_of_the_log() -> list[tuple[str, ast.Call]]:
    """Every call of a method of a name `log` in the package, with its place."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(call, ast.Call)
                and isinstance(method := call.func, ast.Attribute)
                and isinstance(method.value, ast.Name)
                and method.value.id == "log"
                and method.attr in ("debug", "info", "warning", "error", "exception", "bind")
            ):
                found.append((f"{path.relative_to(PACKAGE)}:{call.lineno} {method.attr}", call))
    return found


def test_every_event_of_the_package_is_a_constant_and_no_field_has_a_reserved_name() -> None:
    """A call in the path of an error may run for the first time at a customer's."""
    calls = calls_of_the_log()
    assert calls
    for place, call in calls:
        if not place.endswith("bind"):
            event = call.args[0]
            choice = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
            assert all(isinstance(text, ast.Constant) for text in choice), place
        names = {keyword.arg for keyword in call.keywords}
        assert not names & {"time", "level", "event", "logger", "pid"}, place
