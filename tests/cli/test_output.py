"""What a command says when a package is missing."""

from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner

from casgan_dicom.cli import cli, output
from casgan_dicom.cli.output import need_extra
from casgan_dicom.errors import ConfigError
from casgan_dicom.quoting import printable

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(("extra", "module"), [("metrics", "matplotlib.figure"), ("export", "onnxscript")])
def test_a_package_that_an_extra_brings_is_told_with_the_extra(extra: str, module: str) -> None:
    with pytest.raises(ConfigError, match=f"needs the package '{module}'") as caught, need_extra(extra):
        raise ModuleNotFoundError(name=module)
    assert caught.value.hint == f"install the extra '{extra}': pip install '.[{extra}]' in the clone"


@pytest.mark.parametrize("module", ["torch", "casgan_dicom.lab.gone", None])
def test_a_module_that_no_extra_brings_is_missing_for_another_reason(module: str | None) -> None:
    with pytest.raises(ModuleNotFoundError) as caught, need_extra("metrics"):
        raise ModuleNotFoundError(name=module)
    assert caught.value.name == module


@pytest.mark.parametrize("extra", output._OPTIONAL)
def test_the_modules_of_an_extra_are_those_of_the_packages_that_it_lists(extra: str) -> None:
    listed = {package.partition(">")[0] for package in PROJECT["optional-dependencies"][extra]}
    brought = packages_distributions()

    assert {name for module in output._OPTIONAL[extra] for name in brought[module]} == listed


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "\x1b]0;owned\x07"],
        ["\x1b[2J"],
        ["--\x1b[2J"],
        ["node", "jobs", "--state", "\x1b[2J"],
        ["node", "priority", "a", "\x1b[2J"],
        ["verify", "/nowhere\x1b[2J\u202e"],
    ],
)
def test_wrong_usage_quotes_no_argument_that_a_terminal_would_obey(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli, arguments, color=True)

    assert shown.exit_code == 2
    assert all(printable(line) == line for line in shown.output.splitlines())
