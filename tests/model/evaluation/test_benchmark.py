"""Plans of benchmarks: which runs they name, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.model.evaluation.benchmark import read_plan
from casgan_dicom.model.evaluation.plan_files import plan_names
from casgan_dicom.model.evaluation.protocol import Protocol
from casgan_dicom.model.methods.casgan import CasOptions

PAPER = ["cyclegan", "unit", "munit", "cut", "attentiongan", "qs-attn", "stegogan"]


@pytest.mark.parametrize("name", ["desk", "paper"])
def test_the_plan_has_every_method_and_every_row_of_both_tables(name: str) -> None:
    runs = read_plan(name).runs
    first = [run for run in runs if run.settings.seed == 1]
    assert [run.settings.method for run in first[:7]] == PAPER
    rows = [run.settings.own for run in first if run.settings.method == "casgan"]
    bits = [(row.drl, row.vsgg, row.vsgl) for row in rows if isinstance(row, CasOptions)]
    assert len(set(bits)) == len(bits) == 8


def test_runs_at_desk_scale_see_the_same_number_of_the_same_images() -> None:
    runs = read_plan("desk").runs
    seen = {
        (s.optim.steps, s.optim.batch, s.data, s.net.ngf, s.net.ndf) for s in (run.settings for run in runs)
    }
    assert len(seen) == 1
    assert runs[0].settings.data.crop == 128
    assert runs[0].settings.data.frame_size == 256
    seeds = [(run.settings.method, run.settings.seed) for run in runs if run.settings.seed > 1]
    assert sorted(seeds) == sorted(
        (m, s) for m in ("cyclegan", "attentiongan", "cut", "casgan") for s in (2, 3)
    )


def test_every_shipped_plan_can_be_read() -> None:
    assert set(plan_names()) == {"desk", "paper", "smoke"}
    for name in plan_names():
        names = [run.name for run in read_plan(name).runs]
        assert len(set(names)) == len(names)


def test_overrides_change_every_run_over_the_plans_own() -> None:
    assert {run.settings.optim.steps for run in read_plan("smoke", ("optim.steps=3",)).runs} == {3}


def written(folder: Path, text: str) -> str:
    (folder / "own.toml").write_text(text)
    return str(folder / "own.toml")


def test_a_plan_says_how_its_runs_are_measured() -> None:
    assert read_plan("desk").protocol == Protocol()
    assert (read_plan("smoke").protocol.runs, read_plan("smoke").protocol.cue) == (2, Protocol().cue)


def test_a_plan_of_ones_own_is_a_file(tmp_path: Path) -> None:
    text = '[[runs]]\nmethods = ["cut", "unit"]\npresets = ["smoke"]\nseeds = [4, 5]\n'
    names = [run.name for run in read_plan(written(tmp_path, text)).runs]
    assert names == ["cut-smoke-s4", "unit-smoke-s4", "cut-smoke-s5", "unit-smoke-s5"]


ENTRY = '[[runs]]\nmethods = ["cut"]\npresets = ["smoke"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no runs"),
        ("runs = 3 =", "is no TOML"),
        ('set = ["seed=3"]\n' + ENTRY + "seeds = [1]", "'seed=3': the plan says the seeds"),
        ("speed = 1", "unknown key 'speed'"),
        (ENTRY, "runs wants 'seeds'"),
        (ENTRY + "seeds = 1", "runs.seeds is 1, want a list of whole numbers"),
        (ENTRY + "seeds = [true]", "runs.seeds is [True], want a list of whole numbers"),
        (ENTRY.replace('["cut"]', '"cut"') + "seeds = [1]", "runs.methods is 'cut', want a list of text"),
        (ENTRY.replace("[[runs]]", "[runs]") + "seeds = [1]", "runs is {"),
        ("runs = [1]", "runs has 1, want tables: [[runs]]"),
        ("evaluation = 3", "evaluation is 3, want a table"),
        ('set = "optim.steps=2"', "set is 'optim.steps=2', want a list"),
        ("set = [3]", "set has 3, want KEY=VALUE"),
        ("scale = 2", "scale is 2, want text"),
        (
            "[evaluation]\nrun = 3\n" + ENTRY + "seeds = [1]",
            "unknown key 'evaluation.run' (did you mean 'evaluation.runs'?)",
        ),
        ("[evaluation]\nruns = 3.5\n" + ENTRY + "seeds = [1]", "evaluation.runs is 3.5, want a whole number"),
        (
            '[[runs]]\nmethods = ["cut"]\npresets = ["smoke"]\nseeds = [1]\nwidth = 2',
            "unknown key 'runs.width'",
        ),
        (
            '[[runs]]\nmethods = ["cut"]\npresets = ["smoke"]\nseeds = [1, 1]',
            "run 'cut-smoke-s1' is named twice",
        ),
        (ENTRY.replace("smoke", "smork") + "seeds = [1]", "no preset 'smork'"),
    ],
)
def test_a_plan_that_cannot_be_read_says_why(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(written(tmp_path, text))
    assert told in caught.value.message


def test_an_unknown_plan_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no benchmark 'disk'") as caught:
        read_plan("disk")
    assert "desk, paper, smoke" in caught.value.hint
