"""``node pause`` and ``resume``: real processes that stop where they are, and go on in their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from tests.faults.modality import cine, send
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.node.test_rules import as_toml
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs

Order = Callable[..., Result]


def order_for(folder: Path, text: str) -> Order:
    config = folder / "node.toml"
    config.write_text(text.replace('engine = "torch"', 'engine = "torch"\ndevices = ["cpu"]'))
    return lambda *arguments: CliRunner().invoke(cli, ["node", "--config", str(config), *arguments])


def progress_of(node: Node, name: str) -> str:
    return next((row.progress for row in node.jobs() if row.series_uid == uid(f"series {name}")), "")


def states(node: Node) -> list[str]:
    return [row.state for row in node.jobs()]


def test_a_paused_device_stops_at_a_border_and_goes_on_where_it_was(tmp_path: Path) -> None:
    settings = node_settings(tmp_path)
    order = order_for(tmp_path, as_toml(settings))

    with running_node(settings) as node:
        send(node.port, [cine(tmp_path / "sent", "long", frames=60)])
        wait_for(lambda: bool(progress_of(node, "long")), "a conversion under way")
        assert order("pause").stdout == "conversions on cpu: paused\n"
        wait_for(lambda: progress_of(node, "long").startswith("paused "), "the pause")
        stopped_at = progress_of(node, "long")
        send(node.port, [cine(tmp_path / "sent", "short")])
        wait_for(lambda: states(node) == ["converting", "queued"], "the second series to wait")
        assert "paused       conversions on cpu" in order("status").stdout
        assert progress_of(node, "long") == stopped_at

        assert order("resume").stdout == "conversions on cpu: resumed\n"

        rows = node.wait_until_settled(2)

    assert [row.state for row in rows] == ["done", "done"]
    assert order("resume").stderr == "casgan-dicom: nothing of it was paused\n"


def test_a_paused_destination_gets_nothing_and_the_other_everything(tmp_path: Path) -> None:
    with FakePacs() as a, FakePacs() as b:
        settings = node_settings(tmp_path, destination("a", a), destination("b", b))
        order = order_for(tmp_path, as_toml(settings))
        with running_node(settings) as node:
            assert json.loads(order("pause", "--json", "a").stdout) == {
                "paused": [{"what": "send", "name": "a"}]
            }
            for name in ("first", "second"):
                send(node.port, [cine(tmp_path / "sent", name)])
            wait_for(lambda: len(b.stored) == 2, "both series in the other archive")
            assert states(node) == ["delivering", "delivering"]
            assert a.requests == {}

            order("resume", "a")

            node.wait_until_settled(2)
            order_there = [each.sop_instance_uid for each in a.received]
            assert order_there == [each.sop_instance_uid for each in b.received]


@pytest.mark.parametrize(
    "arguments", [("pause", "nowhere"), ("resume", "nowhere"), ("pause", "--device", "cuda:7")]
)
def test_what_is_not_there_cannot_be_paused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    settings = node_settings(tmp_path)
    order = order_for(tmp_path, as_toml(settings))
    with running_node(settings):
        pass

    said = order(*arguments)

    assert said.exit_code == 5
    assert "there are no " in said.stderr
    assert "known: conversions on cpu" in said.stderr
