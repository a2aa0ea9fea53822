"""The listener as a process: who may come in, how it starts and how it ends."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest
from pydicom.uid import JPEGLosslessSV1
from pynetdicom import AE

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.receive.admission import UNKNOWN_CALLED, UNKNOWN_CALLER
from casgan_dicom.node.receive.listener import run_listener
from casgan_dicom.node.settings import PeerSettings
from tests.node.listening import (
    Listening,
    check_spool,
    data_set,
    events,
    listening,
    log_lines,
    settings_for,
)
from tests.node.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    XA,
    XA_CONTEXT,
    Wire,
    associate_rq,
    p_data,
    store_command,
)
from tests.support.factories import uid

PATIENT = ("Test^Run", "TEST-1", "Test bench")
"""What the header of a made instance says of its patient."""


def rejection(port: int, **request: str) -> int | None:
    """Reason of the rejection of an association; None if it is accepted."""
    with Wire(port) as wire:
        wire.send(associate_rq(**request))  # type: ignore[arg-type]  # titles only
        kind, body = wire.read()
    assert kind in (ASSOCIATE_AC, ASSOCIATE_RJ)
    if kind == ASSOCIATE_AC:
        return None
    assert body[1:3] == b"\1\1"  # permanent, by the service user
    return body[3]


def test_echo_of_another_implementation_is_answered(running: Listening) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)

    association = ae.associate("127.0.0.1", running.port, ae_title="CASGAN")

    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


def test_release_is_answered(running: Listening) -> None:
    with Wire.associated(running.port) as wire:
        wire.release()
        assert wire.is_over()


def test_contexts_are_answered_one_by_one(running: Listening) -> None:
    proposed = {
        1: (VERIFICATION, [IMPLICIT]),
        3: (XA, ["1.2.3", str(JPEGLosslessSV1), IMPLICIT, EXPLICIT]),
        5: (XA, ["1.2.840.10008.1.2.4.102"]),  # MPEG-4
        7: ("1.2.840.10008.5.1.4.1.1.2", [EXPLICIT]),  # CT
    }
    with Wire(running.port) as wire:
        wire.send(associate_rq(contexts=proposed))
        kind, body = wire.read()

    assert kind == ASSOCIATE_AC
    results, at = {}, 68 + 4 + int.from_bytes(body[70:72], "big")  # behind the application context
    while body[at] == 0x21:
        length = int.from_bytes(body[at + 2 : at + 4], "big")
        item = body[at + 4 : at + 4 + length]
        results[item[0]] = item[2], item[8:].decode()
        at += 4 + length
    assert results[1] == (0, IMPLICIT)
    assert results[3] == (0, EXPLICIT)
    assert results[5][0] == 4  # transfer syntaxes not supported
    assert results[7][0] == 3  # abstract syntax not supported


def test_wrong_called_title_is_rejected(running: Listening) -> None:
    assert rejection(running.port, called="PACS") == UNKNOWN_CALLED[2]


def test_unknown_caller_is_rejected_and_told(tmp_path: Path) -> None:
    peers = (PeerSettings("CATHLAB", "127.0.0.1"), PeerSettings("ELSEWHERE", "10.0.0.1"))
    with log_lines() as stream, listening(tmp_path / "data", peers=peers) as running:
        assert rejection(running.port, calling="CATHLAB") is None
        assert rejection(running.port, calling="STRANGER") == UNKNOWN_CALLER[2]
        assert rejection(running.port, calling="ELSEWHERE") == UNKNOWN_CALLER[2]

    told = [event for event in events(stream) if event["event"] == "association rejected"]
    assert [(event["ae_title"], event["address"]) for event in told] == [
        ("STRANGER", "127.0.0.1"),
        ("ELSEWHERE", "127.0.0.1"),
    ]
    trail = running.layout.audit.read_text(encoding="utf-8")
    assert re.findall(r'UserID="([A-Z]+)" AlternativeUserID', trail) == ["STRANGER", "ELSEWHERE"]


def refusal(data: Path, **listener: object) -> ConfigError:
    """Why a listener does not start."""
    with pytest.raises(ConfigError) as caught:
        run_listener(settings_for(data, (), **listener), "recipe", lambda _: None, threading.Event())
    return caught.value


def test_port_in_use_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        error = refusal(tmp_path / "data", port=port)

    assert "127.0.0.1" in error.message
    assert str(port) in error.message
    assert "in use" in error.message
    assert "port" in error.hint


def test_listener_that_finds_its_port_taken_touches_no_file_of_the_one_that_runs(
    tmp_path: Path, folder: Path
) -> None:
    with listening(tmp_path / "data") as running, Wire.associated(running.port) as wire:
        content = data_set(folder)
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
        wire.send(p_data(XA_CONTEXT, 0, content[:1000]))

        refusal(tmp_path / "data", port=running.port)

        wire.send(p_data(XA_CONTEXT, 2, content[1000:]))
        assert wire.reply().status == 0
        assert check_spool(running.layout) == 1


def test_address_of_another_machine_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "data", host="192.0.2.1")

    assert "192.0.2.1" in error.message


def test_unknown_host_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "data", host="no-such-host.invalid")

    assert "no-such-host.invalid" in error.message


def test_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    error = refusal(tmp_path / "data")

    assert str(tmp_path / "data") in error.message


def test_more_connections_than_open_files_are_refused_at_the_start(tmp_path: Path) -> None:
    error = refusal(tmp_path / "data", max_connections=10**9)

    assert "max_connections" in error.hint


def test_port_is_free_again_at_once(tmp_path: Path) -> None:
    with listening(tmp_path / "data") as first, Wire.associated(first.port) as wire:
        wire.release()

    with listening(tmp_path / "data", port=first.port) as second:
        assert second.port == first.port


def test_listener_that_stops_lets_an_instance_come_to_its_end(tmp_path: Path, folder: Path) -> None:
    content = data_set(folder)
    with listening(tmp_path / "data") as running, Wire.associated(running.port) as wire:
        wire.send(p_data(XA_CONTEXT, 3, store_command(XA, uid("instance"))))
        wire.send(p_data(XA_CONTEXT, 0, content[:1000]))
        running.stop.set()

        wire.send(p_data(XA_CONTEXT, 2, content[1000:]))

        assert wire.reply().status == 0
        wire.release()
    assert check_spool(running.layout) == 1


def test_listener_that_stops_does_not_wait_for_the_idle(tmp_path: Path) -> None:
    with listening(tmp_path / "data") as running:
        wire, silent = Wire.associated(running.port), Wire(running.port)
        start = monotonic()
    with wire, silent:
        assert wire.read()[0] == ABORT
        assert silent.is_over()
    assert monotonic() - start < 20  # 3 s of grace, and slack for a busy machine


def test_file_of_an_acknowledged_instance_that_is_gone_is_told(tmp_path: Path, folder: Path) -> None:
    with listening(tmp_path / "data") as running, Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), data_set(folder))
        Path(running.rows()[0]["path"]).unlink()

    with log_lines() as stream, listening(tmp_path / "data"):
        pass

    assert [event["count"] for event in events(stream) if "missing" in event["event"]] == [1]


def test_start_sweeps_what_a_crash_left(tmp_path: Path, folder: Path) -> None:
    with listening(tmp_path / "data") as running, Wire.associated(running.port) as wire:
        wire.store(XA, uid("instance"), data_set(folder))
    layout = running.layout
    (layout.incoming / "0123.part").write_bytes(b"half")
    stray = layout.spool / uid("other") / f"{uid('other')}-0123456789abcdef.dcm"
    stray.parent.mkdir()
    stray.write_bytes(b"never acknowledged")

    with listening(tmp_path / "data") as again:
        assert check_spool(again.layout) == 1
    assert not stray.parent.exists()


def test_stored_instance_is_told_with_its_job_and_no_word_of_the_patient(
    tmp_path: Path, folder: Path
) -> None:
    content, wrong = data_set(folder), data_set(folder, StudyInstanceUID="")

    with log_lines() as stream, listening(tmp_path / "data") as running:
        with Wire.associated(running.port, calling="CATHLAB") as wire:
            wire.store(XA, uid("instance"), content)
            wire.store(XA, uid("instance"), content)
            wire.store(XA, uid("instance"), wrong)
            wire.store(XA, "Doe^John", content)
        (row,) = running.rows()

    (told,) = [event for event in events(stream) if event["event"] == "instance stored"]
    assert told["job"] == row["job"]
    assert (told["ae_title"], told["address"]) == ("CATHLAB", "127.0.0.1")
    assert (told["series_uid"], told["sop_uid"]) == (uid("series"), uid("instance"))
    assert told["bytes"] == row["bytes"]
    assert 0 < told["seconds"] < 60
    for secret in (*PATIENT, "Doe^John"):
        assert secret not in stream.getvalue()


_PROBE = """
import json, sys, threading
from pathlib import Path
from casgan_dicom.node.receive.listener import run_listener
from tests.node.listening import data_set, settings_for
from tests.node.wire import XA, Wire
from tests.support.factories import uid

folder, stop = Path(sys.argv[1]), threading.Event()
content = (folder / "content").read_bytes()

def send(port):
    with Wire.associated(port) as wire:
        assert wire.echo() == 0
        assert wire.store(XA, uid("instance"), content).status == 0
    stop.set()

def ready(port):
    threading.Thread(target=send, args=[port]).start()

run_listener(settings_for(folder / "data"), "", ready, stop)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_process_of_the_listener_loads_nothing_heavy(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "content").write_bytes(data_set(folder))

    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert '"pynetdicom"' in done.stdout  # the probe sees what is loaded
    for name in ("torch", "SimpleITK", "scipy", "highdicom", "openvino", "click", "rich", "dbos"):
        assert f'"{name}"' not in done.stdout
