"""Bundles that are there and whole, and those that are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.doctor.bundle import look_at_bundles
from casgan_dicom.node.doctor.finding import Verdict
from casgan_dicom.node.settings import NodeSettings, RuleSettings, WorkerSettings
from tests.node.doctor.looking import bad
from tests.node.nodes import bundle_in


def test_a_whole_bundle_is_well_and_so_is_the_one_that_is_shipped(tmp_path: Path) -> None:
    rules = (RuleSettings("own", bundle=str(bundle_in(tmp_path))),)

    found = list(look_at_bundles(NodeSettings(rules=rules)))

    assert bad(found) == {}
    assert [each.about for each in found] == ["worker.bundle", "rules#1.bundle"]


def test_a_bundle_that_nobody_has_is_told_by_its_key(tmp_path: Path) -> None:
    settings = NodeSettings(worker=WorkerSettings(bundle="atlantis"))

    assert bad(look_at_bundles(settings)) == {"worker.bundle": Verdict.FAIL}
    rules = (RuleSettings("a"), RuleSettings("b", bundle=str(tmp_path / "gone")))
    assert bad(look_at_bundles(replace(settings, worker=WorkerSettings(), rules=rules))) == {
        "rules#2.bundle": Verdict.FAIL
    }


def test_one_changed_byte_is_a_failure(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    weights = bundle / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))

    found = bad(look_at_bundles(NodeSettings(worker=WorkerSettings(bundle=str(bundle)))))

    assert found == {"worker.bundle": Verdict.FAIL}
