"""Methods by name; and a ninth one, of another package, made of what CONTRIBUTING.md shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.methods.base import Method
from casgan_dicom.model.methods.registry import BUILT_IN, may_draw_by_plan, method_class, method_names
from tests.support.toy_method import installed_toy

ROOT = Path(__file__).parents[3]
TRAIN = ("train", "--method", "toy", "--preset", "smoke", "--data", "sim:1", "--out")


def casgan(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from casgan_dicom.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.train
def test_a_method_of_another_package_is_listed_trained_and_converts(tmp_path: Path) -> None:
    environment, run = installed_toy(tmp_path), tmp_path / "run"

    listed = casgan(environment, "train", "--list")
    trained = casgan(
        environment, "train", "--method", "toy", "--preset", "smoke", "--data", "sim:1", "--out", run
    )
    series = ROOT / "sample_series"
    converted = casgan(
        environment, "convert", series, "--bundle", run / "bundle", "--out", tmp_path / "derived"
    )

    assert re.search(r"toy +Toy \(CONTRIBUTING\.md\) \(beyond the paper\)\n +presets: smoke\n", listed.stdout)
    assert (trained.returncode, trained.stdout) == (0, f"bundle: {run / 'bundle'}\n"), trained.stderr
    assert converted.returncode == 0, converted.stderr
    assert list((tmp_path / "derived").rglob("*.dcm"))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("toy_method.nowhere:Toy", "method 'toy' of toy_method.nowhere:Toy cannot be imported"),
        ("toy_method.toy:F", "is no subclass of casgan_dicom's Method"),
    ],
)
def test_an_entry_point_that_is_no_method_is_said_to_be(tmp_path: Path, entry: str, told: str) -> None:
    done = casgan(installed_toy(tmp_path, entry), *TRAIN, tmp_path / "run")
    assert done.returncode == 5
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_method_is_one_and_says_what_it_is(name: str) -> None:
    cls = method_class(name)
    assert issubclass(cls, Method)
    assert cls.title
    assert cls.deployed
    assert len(set(cls.terms)) == len(cls.terms) > 0
    ours = ("segment-then-paint", "unsb", "oracle", "atlas", "casgan-atlas")
    assert cls.beyond_paper is (name in ours)


def test_the_methods_of_the_paper_come_first_in_its_order() -> None:
    paper = ["cyclegan", "unit", "munit", "cut", "fastcut", "attentiongan", "qs-attn", "stegogan", "casgan"]
    assert method_names()[: len(paper)] == paper


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no method 'pix2pix'"):
        method_class("pix2pix")


@pytest.mark.parametrize("name", BUILT_IN)
def test_whether_a_method_draws_by_plan_is_known_without_its_class(name: str) -> None:
    assert may_draw_by_plan(name) == ("drawer" in vars(method_class(name)))


def test_a_method_of_another_package_may_draw_by_plan() -> None:
    assert may_draw_by_plan("anothers")
