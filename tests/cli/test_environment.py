"""Every option can be set in the environment, under the name that its help tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from casgan_dicom.cli import cli


def options(command: click.Command, prefix: str) -> Iterator[tuple[str, click.Option, click.Context]]:
    """The variable that an option's own name leads to, the option, and a context for its help."""
    context = click.Context(command, auto_envvar_prefix=prefix)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below, f"{prefix}_{name.upper().replace('-', '_')}")
        return
    for option in command.params:
        if isinstance(option, click.Option):
            long = max(option.opts, key=len).removeprefix("--")
            yield f"{prefix}_{long.upper().replace('-', '_')}", option, context


@pytest.mark.parametrize(
    ("variable", "option", "context"), [pytest.param(*found, id=found[0]) for found in options(cli, "CASGAN")]
)
def test_an_option_is_read_from_the_variable_of_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, option: click.Option, context: click.Context
) -> None:
    monkeypatch.setenv(variable, "1")
    assert option.resolve_envvar_value(context) == "1"
    record = option.get_help_record(context)
    assert record is not None
    assert f"env var: {variable}" in record[1]


@pytest.mark.parametrize(("said", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_for_each_other_sleep_unless_somebody_wants_otherwise(
    said: str | None, policy: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": said} if said else {}
    code = (
        "import os, sys, atexit; from casgan_dicom.cli import main; sys.argv[1:] = ['--version'];"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'])); main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split()[-1] == policy
