"""The engine, measured in a process of its own; torch stays out of this one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.doctor.engine import available_bytes, look_at_engine
from casgan_dicom.node.doctor.finding import Verdict
from tests.node.doctor.looking import bad, one
from tests.node.nodes import node_settings


def test_the_engine_of_a_worker_draws_and_fits_into_memory(tmp_path: Path) -> None:
    settings = node_settings(tmp_path)

    found = list(look_at_engine(settings, "cpu"))

    assert [each.about for each in found] == ["worker cpu", "memory"]
    assert found[0].verdict is Verdict.OK
    assert found[0].text.startswith("torch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]  # nothing was left


def test_an_engine_or_a_device_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    settings = node_settings(tmp_path)
    unknown = replace(settings, worker=replace(settings.worker, engine="steam"))

    assert one(look_at_engine(settings, "cuda:99")).verdict is Verdict.FAIL
    assert bad(look_at_engine(unknown, "cpu")) == {"worker cpu": Verdict.FAIL}


def test_there_is_memory_to_be_had_and_less_than_the_machine_has() -> None:
    (total,) = (
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )

    assert 0 < available_bytes() < total
