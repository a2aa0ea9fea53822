"""The chain of an audit trail, held against our own reading of what its lines say."""

from __future__ import annotations

import hashlib
import hmac
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.audit_chain import Link
from casgan_dicom.node.state.audit_check import Checked, check, lines_of
from casgan_dicom.node.state.audit_file import contents
from casgan_dicom.node.state.audit_key import read_key
from casgan_dicom.node.state.layout import Layout
from tests.node.nodes import wait_for

AT = datetime(2026, 12, 1, 10, 15, 30, 123456, tzinfo=UTC)
DATA = re.compile(
    rb'\[chain@32473 seq="(\d+)" before="(\w*)"(?: torn="(\d+):(\w+)")? by="([\w-]+)" digest="(\w+)"\]'
)
OLD = "<85>1 2026-11-01T10:15:30.1Z host app 7 DICOM+RFC3881 - \ufeff<AuditMessage>old</AuditMessage>\n"
"""A line of a version that had no chain."""


def rejections(layout: Layout, count: int, settings: AuditSettings = AuditSettings()) -> None:  # noqa: B008
    """Write so many lines."""
    audit = Audit(layout, settings, "CASGAN", lambda: AT)
    for number in range(count):
        audit.rejected(f"N{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")


def checked(layout: Layout, key: bytes | None = None, noted: tuple[Link, ...] = ()) -> Checked:
    """What a check says of the files as they are."""
    found = (line for name, content in contents(layout.audit) for line in lines_of(name, content))
    return check(found, key, noted)


def broken_at(found: Checked) -> list[tuple[str, int]]:
    return [(each.place.file, each.place.line) for each in found.breaks]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_each_line_holds_the_digest_of_the_one_before_and_its_own(layout: Layout) -> None:
    rejections(layout, 3)

    before = b""
    for number, line in enumerate(layout.audit.read_bytes().splitlines(), 1):
        found = DATA.search(line)
        assert found is not None
        seq, last, _, _, by, digest = found.groups()
        blank = line.replace(b'digest="' + digest, b'digest="')
        assert (int(seq), last, by) == (number, before, b"sha256")
        assert digest.decode() == hashlib.sha256(blank).hexdigest()
        before = digest
    assert checked(layout).breaks == ()
    assert checked(layout).head == Link(3, before.decode())


def test_with_a_key_the_digests_are_its_hmacs(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 32 + "\n")
    rejections(layout, 2, AuditSettings(key_file=file))

    last = layout.audit.read_bytes().splitlines()[-1]
    found = DATA.search(last)
    assert found is not None
    blank = last.replace(found[6], b"", 1)
    assert found[6].decode() == hmac.new(b"k" * 32, blank, "sha256").hexdigest()
    assert checked(layout, read_key(file)).breaks == ()
    assert broken_at(checked(layout, b"another key of 32 bytes, as it is")) == [
        ("audit.log", 1),
        ("audit.log", 2),
    ]
    assert broken_at(checked(layout)) == [("audit.log", 1), ("audit.log", 2)]


def test_the_chain_goes_on_from_file_to_file_and_begins_where_older_files_are_gone(layout: Layout) -> None:
    rejections(layout, 9, AuditSettings(max_bytes=3000, files=2))

    found = checked(layout)

    assert sorted(path.name for path in layout.data.iterdir()) == ["audit.log", "audit.log.1", "audit.log.2"]
    assert found.breaks == ()
    assert found.head.seq == 9
    assert found.first == 9 - found.lines + 1 > 1


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def changed(lines: list[bytes]) -> list[bytes]:
    return [
        line.replace(b"10.1.2.3", b"10.1.2.4") if number == 2 else line for number, line in enumerate(lines)
    ]


@pytest.mark.parametrize(
    ("tamper", "at"),
    [
        (changed, 3),
        (lambda lines: [*lines[:2], *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        (lambda lines: [*lines[:2], lines[2], lines[2], *lines[3:]], 4),
        (lambda lines: [*lines[:2], b"something else\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"cut\x1a\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], lines[2][:-20], *lines[3:]], 3),
        (lambda lines: [*lines, b"something else\n"], 6),
        (lambda lines: [*lines[:4], lines[4].replace(b"N4", b"N7")], 5),
    ],
    ids=[
        "changed",
        "missing",
        "swapped",
        "twice",
        "added",
        "added as cut",
        "shortened",
        "appended",
        "last changed",
    ],
)
def test_whoever_changes_a_line_breaks_the_chain_there(layout: Layout, tamper: object, at: int) -> None:
    rejections(layout, 5)
    assert callable(tamper)
    layout.audit.write_bytes(b"".join(tamper(lines_in(layout.audit))))

    found = checked(layout)

    assert broken_at(found)[0] == ("audit.log", at)


def test_a_missing_file_breaks_the_chain_at_the_next(layout: Layout) -> None:
    rejections(layout, 9, AuditSettings(max_bytes=3000, files=9))
    layout.data.joinpath("audit.log.2").unlink()

    assert broken_at(checked(layout)) == [("audit.log.1", 1)]


def test_the_next_writer_does_not_mend_a_broken_chain(layout: Layout) -> None:
    rejections(layout, 3)
    layout.audit.write_bytes(layout.audit.read_bytes().replace(b"N2", b"N7") + b"something else\n")
    rejections(layout, 1)

    assert broken_at(checked(layout)) == [("audit.log", 3), ("audit.log", 4)]


def test_an_end_that_is_missing_is_found_by_a_line_that_was_noted(layout: Layout) -> None:
    rejections(layout, 5)
    noted = checked(layout).head
    layout.audit.write_bytes(b"".join(lines_in(layout.audit)[:3]))

    assert checked(layout).breaks == ()
    assert len(checked(layout, noted=(noted,)).breaks) == 1
    rejections(layout, 4)
    assert checked(layout).breaks == ()
    assert broken_at(checked(layout, noted=(noted,))) == [("audit.log", 5)]


def test_a_line_that_was_noted_and_is_there_is_no_fault(layout: Layout) -> None:
    rejections(layout, 2)
    noted = checked(layout).head
    rejections(layout, 2)

    assert checked(layout, noted=(noted, replace(checked(layout).head))).breaks == ()


def test_old_lines_without_a_chain_are_counted_and_break_nothing(layout: Layout) -> None:
    layout.data.joinpath("audit.log.1").write_text(OLD * 3)
    layout.audit.write_text(OLD * 2)
    rejections(layout, 2)

    found = checked(layout)

    assert (found.unchained, found.lines, found.first, found.breaks) == (5, 2, 1, ())


def test_old_lines_behind_the_chain_break_it(layout: Layout) -> None:
    rejections(layout, 2)
    layout.audit.write_bytes(layout.audit.read_bytes() + OLD.encode())

    assert broken_at(checked(layout)) == [("audit.log", 3)]


@pytest.mark.parametrize("kept", [1, 40, 200, -1])
@pytest.mark.parametrize("again", [0, 1, 2])
def test_a_piece_of_a_line_is_ended_and_named_by_the_next(layout: Layout, kept: int, again: int) -> None:
    """As a writer leaves it that is killed; and `again` others that are killed after they ended it."""
    rejections(layout, 3)
    *first, last = lines_in(layout.audit)
    layout.audit.write_bytes(b"".join([*first, last[:kept] if kept > 0 else last[: kept - 1]]))
    for _ in range(again):
        with layout.audit.open("ab") as file:
            file.write(b"\x1a\n" + last[:70])
    assert checked(layout).unfinished
    assert checked(layout).breaks == ()

    rejections(layout, 2)

    found = checked(layout)
    assert found.breaks == ()
    assert (found.lines, found.head.seq, len(found.torn), found.unfinished) == (4, 4, 1, False)


def test_a_whole_line_that_only_lacks_its_feed_counts(layout: Layout) -> None:
    rejections(layout, 3)
    layout.audit.write_bytes(layout.audit.read_bytes().removesuffix(b"\n"))
    assert (checked(layout).lines, checked(layout).unfinished) == (3, False)

    rejections(layout, 1)

    assert (checked(layout).lines, checked(layout).torn, checked(layout).breaks) == (4, (), ())


def test_a_piece_at_the_end_of_a_full_file_is_named_by_the_first_line_of_the_next(layout: Layout) -> None:
    small = AuditSettings(max_bytes=3000, files=5)
    rejections(layout, 2, small)
    layout.audit.write_bytes(layout.audit.read_bytes() + b"<85>1 piece" * 100)
    rejections(layout, 1, small)

    found = checked(layout)
    assert found.breaks == ()
    assert [(place.file, place.line) for place in found.torn] == [("audit.log", 1)]
    assert layout.data.joinpath("audit.log.1").is_file()


def test_a_crash_between_two_files_loses_nothing(layout: Layout) -> None:
    rejections(layout, 3)
    layout.audit.rename(layout.data / "audit.log.1")
    assert checked(layout).head.seq == 3

    rejections(layout, 1)

    assert (checked(layout).lines, checked(layout).breaks) == (4, ())


def test_a_line_of_which_no_piece_fits_leaves_none(layout: Layout) -> None:
    """A file may be no longer than so many bytes: what a full disk does."""
    rejections(layout, 2)
    code = f"""
import resource, signal
from pathlib import Path
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.layout import Layout
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({layout.audit.stat().st_size + 100},) * 2)
Audit(Layout(Path({str(layout.data)!r}))).started()
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    assert (checked(layout).lines, checked(layout).unfinished) == (2, False)
    rejections(layout, 1)
    assert (checked(layout).lines, checked(layout).torn, checked(layout).breaks) == (3, (), ())


def test_a_key_that_is_gone_stops_no_message_and_is_found(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"k" * 32)
    rejections(layout, 1, AuditSettings(key_file=file))
    file.rename(tmp_path / "moved")
    rejections(layout, 1, AuditSettings(key_file=file))

    found = checked(layout, b"k" * 32)

    assert (found.lines, broken_at(found)) == (2, [("audit.log", 2)])


WRITER = """
import os, sys, itertools
from pathlib import Path
from casgan_dicom.node.settings import AuditSettings
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.layout import Layout

audit = Audit(Layout(Path(sys.argv[1])), AuditSettings(max_bytes=50_000, files=900), "CASGAN")
for number in itertools.count():
    audit.rejected(f"{os.getpid()}-{number}", "CASGAN", "10.1.2.3", "caller is not among the peers")
    print(number, flush=True)
"""


def test_writers_that_are_killed_leave_a_chain_that_is_whole(layout: Layout, tmp_path: Path) -> None:
    told: dict[str, int] = {}
    for turn in range(4):
        outputs = [(tmp_path / f"said{turn}.{each}") for each in range(3)]
        writers = []
        for output in outputs:
            with output.open("wb") as file:
                command = [sys.executable, "-c", WRITER, str(layout.data)]
                writers.append(subprocess.Popen(command, stdout=file))
        wait_for(lambda: all(len(each.read_bytes()) > 60 for each in outputs), "lines of every writer")  # noqa: B023
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer, output in zip(writers, outputs, strict=True):
            writer.wait()
            told[str(writer.pid)] = output.read_bytes().count(b"\n")
            output.unlink()

    rejections(layout, 1)

    found = checked(layout)
    assert found.breaks == ()
    assert found.lines == found.head.seq
    written = re.findall(
        rb'AETITLES=(\d+)-(\d+)"', b"".join(content for _, content in contents(layout.audit))
    )
    for pid, count in told.items():
        assert [int(n) for p, n in written if p.decode() == pid][:count] == list(range(count))


def test_a_copy_of_the_files_is_checked_where_there_is_no_node(layout: Layout, tmp_path: Path) -> None:
    rejections(layout, 2)
    copy = shutil.copy(layout.audit, tmp_path / "copy.log")

    assert check(lines_of("copy.log", Path(copy).read_bytes())).breaks == ()
