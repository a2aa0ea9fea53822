"""Every option can be set in the environment, under the name that its help tells."""

from __future__ import annotations

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
            yield from options(below, f"{prefix}_{name.upper()}")
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
