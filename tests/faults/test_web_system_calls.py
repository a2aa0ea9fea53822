"""R2 over the web: what is told to the disk, and when a request is answered.

Short: 20 requests of three instances. Long (--soak): 300.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import httpx

from casgan_dicom.node.roles import Order, parse_started
from casgan_dicom.node.settings import NodeSettings
from tests.faults.system_calls import TRACED, answered_over_http, parse, violations
from tests.node.posting import KIND, body, web_settings
from tests.support.factories import moving_frames, write_xa
from tests.support.programs import find_program


def started(settings: NodeSettings, before: list[str]) -> subprocess.Popen[bytes]:
    """The process of a node that listens for HTTP, behind a tracer."""
    command = [*before, sys.executable, "-P", "-m", "casgan_dicom.node", "web"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(Order(settings, "recipe"), process.stdin)
    process.stdin.flush()
    assert parse_started(process.stdout.readline()).error == ""
    return process


def test_no_request_is_answered_before_its_instances_are_safe(tmp_path: Path, soak: bool) -> None:
    requests, output = 300 if soak else 20, tmp_path / "trace"
    strace = find_program("strace", "strace")
    before = [strace, "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "20000", "-e", f"trace={TRACED}"]
    settings = web_settings(tmp_path / "data")
    path = write_xa(
        tmp_path / "one",
        moving_frames(1)[:, :32, :32],
        SOPInstanceUID="1.2.3.1000",
        SeriesInstanceUID="1.2.4.10",
    )
    one = path.read_bytes()

    process = started(settings, [*before, "-o", str(output)])
    try:
        for number in range(requests):
            series = one.replace(b"1.2.4.10", f"1.2.4.{10 + number // 5}".encode())
            names = [f"1.2.3.{1000 + 3 * number + part}".encode() for part in range(3)]
            files = [series.replace(b"1.2.3.1000", name) for name in names]
            answer = httpx.post(
                f"http://127.0.0.1:{settings.web.port}/studies",
                content=body(files),
                headers={"Content-Type": KIND},
                timeout=60,
            )
            assert answer.status_code == 200, answer.text
    finally:
        assert process.stdin is not None
        process.stdin.close()
        code = process.wait(60)
        assert process.stdout is not None
        process.stdout.close()

    with output.open() as lines:
        calls = parse(lines)
    assert code == 0
    assert len({sop_uid for sop_uid, _ in answered_over_http(calls)}) == 3 * requests
    assert violations(calls, answered_over_http) == []
