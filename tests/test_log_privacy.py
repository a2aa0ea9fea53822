"""Nothing of a patient gets into the log: not by an exception, not by a library."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from casgan_dicom.config import leaves, read_settings
from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.log import error_facts
from tests.test_config import Odd
from tests.test_log import PACKAGE, PATIENT, run, told


def facts_of(raiser: str) -> dict[str, str]:
    """What the log says of the exception that this code raises."""
    try:
        exec(compile(raiser, "/somewhere/of/others/module.py", "exec"), {"ConfigError": ConfigError})
    except Exception as error:
        return error_facts(error)
    raise AssertionError(raiser)


def test_of_a_foreign_exception_only_class_and_place_are_told() -> None:
    assert facts_of(f"int('{PATIENT}')") == {"error": "ValueError", "place": "others/module.py:1"}


@pytest.mark.parametrize(
    ("fail", "file", "line_says"),
    [
        (
            lambda: read_settings(Odd, None, {}),
            "setting_types.py",
            "raise TypeError",
        ),  # raised in this package
        (lambda: list(leaves(5)), "config.py", "dataclasses.fields("),  # raised in what it calls
    ],
)
def test_the_place_is_the_innermost_one_in_this_package(
    fail: Callable[[], object], file: str, line_says: str
) -> None:
    with pytest.raises(TypeError) as caught:
        fail()

    name, _, line = error_facts(caught.value)["place"].partition(":")

    assert name == f"casgan_dicom/{file}"
    assert line_says in linecache.getline(str(PACKAGE / file), int(line))


def test_an_error_of_ours_is_told_with_its_message_and_the_class_behind_it() -> None:
    facts = facts_of(f"try: int('{PATIENT}')\nexcept ValueError as e: raise ConfigError('port is 0') from e")
    assert facts == {
        "error": "casgan_dicom.errors.ConfigError",
        "place": "others/module.py:2",
        "message": "port is 0",
        "cause": "ValueError",
    }


@pytest.mark.parametrize(
    ("raiser", "error", "code"),
    [
        (f"open('/{PATIENT}')", "FileNotFoundError", "ENOENT"),
        (f"raise OSError(28, '{PATIENT}')", "OSError", "ENOSPC"),
        (f"import socket; raise socket.gaierror(-2, '{PATIENT}')", "socket.gaierror", "-2"),
        (f"raise OSError('{PATIENT}', '{PATIENT}')", "OSError", None),
        (
            f"import sqlite3; sqlite3.connect(':memory:').execute('select * from \"{PATIENT}\"')",
            "sqlite3.OperationalError",
            "SQLITE_ERROR",
        ),
        (
            f"try: open('/{PATIENT}')\nexcept OSError as error: raise RuntimeError('{PATIENT}') from error",
            "RuntimeError",
            "ENOENT",
        ),
    ],
)
def test_the_code_of_an_error_of_the_system_is_told_and_its_text_is_not(
    raiser: str, error: str, code: str | None
) -> None:
    facts = facts_of(raiser)
    assert facts["error"] == error
    assert facts.get("code") == code
    assert PATIENT not in str(facts)


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert error_facts(CasganError("x")) == {
        "error": "casgan_dicom.errors.CasganError",
        "place": "",
        "message": "x",
    }


def test_no_library_and_no_exception_brings_patient_data_into_the_log() -> None:
    """Each way that a header value may take to stderr, tried in one process."""
    entries = told(
        f"""
import asyncio, threading, warnings
configure()
import pydicom, pynetdicom, highdicom.base, pydicom.pixels.utils, sqlalchemy  # sets levels of its own
PATIENT = "{PATIENT}"
try:
    int(PATIENT)
except ValueError as error:
    log.exception("ours", error, job="j")
    logging.getLogger("some.library").exception(f"failed: {{error}}")
    logging.getLogger("dbos").error(PATIENT, exc_info=error)
    logging.getLogger("sqlalchemy.pool").warning("%s", PATIENT, exc_info=error)
for name in ("pydicom", "pydicom.pixels.utils", "highdicom.base", "pynetdicom.dimse", "pynetdicom"):
    logging.getLogger(name).critical(PATIENT)
logging.getLogger("bad").warning("%d", PATIENT)
warnings.warn(PATIENT)
pydicom.Dataset().PatientBirthDate = PATIENT  # pydicom warns with the value
async def fails(): int(PATIENT)
async def main(): asyncio.create_task(fails()); await asyncio.sleep(0)
asyncio.run(main())
class Dying:
    def __del__(self): int(PATIENT)
Dying()
thread = threading.Thread(target=int, args=[PATIENT]); thread.start(); thread.join()
int(PATIENT)
""",
        exit_code=1,
    )

    assert PATIENT not in json.dumps(entries)
    assert [(entry["logger"], entry["event"], entry.get("error")) for entry in entries] == [
        ("worker", "ours", "ValueError"),
        ("some.library", "message of a library", "ValueError"),
        ("dbos", "message of a library", "ValueError"),
        ("sqlalchemy.pool", "message of a library", "ValueError"),
        ("bad", "message of a library", None),
        ("asyncio", "message of a library", "ValueError"),
        ("casgan_dicom", "exception that nothing could catch", "ValueError"),
        ("casgan_dicom", "thread ended by an exception", "ValueError"),
        ("casgan_dicom", "process ended by an exception", "ValueError"),
    ]
    assert all(re.fullmatch(r".+:\d+", entry["place"]) for entry in entries)


def test_without_the_log_the_same_would_show_the_patient() -> None:
    """The test above would not pass by chance."""
    written = run(
        f"import pydicom; pydicom.Dataset().PatientBirthDate = '{PATIENT}'; int('{PATIENT}')", exit_code=1
    )
    assert written.count(PATIENT) >= 2


def test_the_job_engine_logs_through_ours(tmp_path: Path) -> None:
    """DBOS sets up a handler and a level of its own when it starts, and tells how a workflow failed."""
    entries = told(
        f"""
configure()
from dbos import DBOS
DBOS(config={{"name": "test", "system_database_url": "sqlite:///{tmp_path}/x.sqlite"}})
@DBOS.workflow()
def fails(): raise ValueError("{PATIENT}")
DBOS.launch()
handle = DBOS.start_workflow(fails)
try: handle.get_result()
except ValueError: pass
DBOS.launch()  # it warns: was launched already
DBOS.destroy()
"""
    )

    assert "ValueError" in [entry.get("error") for entry in entries]
    assert {(entry["logger"], entry["event"]) for entry in entries} == {("dbos", "message of a library")}
    assert PATIENT not in json.dumps(entries)
    assert all(entry["place"].startswith("dbos/") for entry in entries)
    assert {entry["level"] for entry in entries} <= {"warning", "error"}
