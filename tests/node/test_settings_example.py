"""deploy/node.toml says what the code says: every key, its meaning and its default."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tomllib
import typing
from pathlib import Path

from casgan_dicom.node import archive_rules, notification_rules
from casgan_dicom.node import settings as module
from casgan_dicom.node.checks import load_node_settings
from casgan_dicom.node.destination_rules import needed
from casgan_dicom.node.settings import NodeSettings

LISTS: dict[str, type] = {
    name: typing.get_args(hint)[0]
    for name, hint in typing.get_type_hints(NodeSettings).items()
    if typing.get_origin(hint) is tuple
}
"""The lists of tables, and what a table of each holds."""

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "node.toml"


def uncommented() -> str:
    """The example with all its settings in force."""
    return re.sub(r"^#(?=\[|\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def comments_above_settings() -> dict[str, str]:
    """What the example says about each key and table: the comment above it."""
    told: dict[str, str] = {}
    table = comment = ""
    for line in uncommented().splitlines():
        if header := re.fullmatch(r"\[+(\w+)\]+", line):
            table, said, comment = f"{header[1]}.", comment, ""
            told.setdefault(header[1], said)
        elif setting := re.match(r"(\w+) = ", line):
            told.setdefault(table + setting[1], comment)
            comment = ""
        else:
            comment = f"{comment} {line.removeprefix('#').strip()}".strip() if line else ""
    return told


def documented_fields(cls: type, prefix: str = "") -> dict[str, str]:
    """The docstring under each field of the tree, by key; for a table, that of its class."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    told: dict[str, str] = {}
    for field, below in zip(definition.body[1::2], definition.body[2::2], strict=True):
        assert isinstance(field, ast.AnnAssign)
        assert isinstance(field.target, ast.Name)
        assert isinstance(below, ast.Expr)
        assert isinstance(below.value, ast.Constant)
        told[prefix + field.target.id] = " ".join(str(below.value.value).split())
        inner = re.search(r"\w+Settings", annotation := ast.unparse(field.annotation))
        if inner:
            table: type = getattr(module, inner[0])
            told |= documented_fields(table, f"{field.target.id}.")
            if annotation == inner[0]:
                told[field.target.id] = " ".join((table.__doc__ or "").split())
    return told


def test_the_example_as_it_is_changes_nothing() -> None:
    assert load_node_settings(EXAMPLE, {}) == NodeSettings()


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = tomllib.loads(uncommented())

    assert shown.keys() == {field.name for field in dataclasses.fields(NodeSettings)}
    for name in shown.keys() - {"data", *LISTS}:
        defaults = dataclasses.asdict(getattr(NodeSettings(), name))
        values = {
            key: tuple(value) if isinstance(value, list) else value for key, value in shown[name].items()
        }
        assert values.keys() == defaults.keys()
        for key, default in defaults.items():
            assert default in (None, values[key]), key
    for name, cls in LISTS.items():
        table = {key: value for one in reversed(shown[name]) for key, value in one.items()}
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        assert table.keys() == defaults.keys()
        for key, default in defaults.items():
            value = tuple(table[key]) if isinstance(table[key], list) else table[key]
            assert (
                default in (dataclasses.MISSING, None, value)
                or key in needed() | archive_rules.needed() | notification_rules.needed()
            ), key


def test_the_example_with_everything_in_force_can_start_a_node(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(uncommented())

    loaded = load_node_settings(path, {})

    several = {"destinations", "archives", "notifications"}
    assert {len(getattr(loaded, name)) for name in LISTS.keys() - several} == {1}
    assert [each.kind for each in loaded.destinations] == ["dicom", "stow", "stow", "folder"]
    assert [each.kind for each in loaded.notifications] == ["webhook", "mail"]
    assert [each.kind for each in loaded.archives] == ["dicom", "dicomweb", "dicomweb"]


def test_the_example_says_of_every_key_what_the_code_says() -> None:
    shown = comments_above_settings()
    documented = documented_fields(NodeSettings)

    assert shown.keys() == documented.keys()
    for key, text in documented.items():
        assert shown[key].startswith(text), key
