"""Every command of the program, by its words."""

from __future__ import annotations

from collections.abc import Iterator

import click


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    """Commands and sub-commands of a group, whose own words are `above`; a group before what it holds."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
