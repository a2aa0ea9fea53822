"""A node that removes what it has delivered: the real processes, from the modality to the archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from casgan_dicom.node.settings import RetentionSettings
from casgan_dicom.node.state.layout import Layout
from tests.faults.modality import cine, send_until_stored, stills
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.fake_pacs import FakePacs


def files(layout: Layout) -> list[Path]:
    return [path for top in (layout.spool, layout.outbox) for path in top.rglob("*") if path.is_file()]


def removed(node: Node) -> list[bool]:
    return [row.removed_at is not None for row in node.jobs()]


def test_what_was_delivered_goes_and_coming_again_changes_nothing(tmp_path: Path) -> None:
    run, frames = cine(tmp_path / "sent", "run"), stills(tmp_path / "sent", "stills", 3)
    with FakePacs() as pacs:
        settings = replace(
            node_settings(tmp_path, destination("pacs", pacs)),
            retention=RetentionSettings(delivered_seconds=0.1, ended_seconds=0.1),
        )
        layout = Layout(settings.data)
        with running_node(settings) as node:
            send_until_stored(node.port, [run, *frames[:2]])
            node.wait_until_settled(2)
        stored, requests = pacs.stored, pacs.requests.total()
        assert len(stored) == 2

        with running_node(settings) as node:  # looks at once, and then every minute
            wait_for(lambda: removed(node) == [True, True], "the removal of both series")
            assert files(layout) == []
            assert [path.name for path in layout.spool.iterdir()] == ["incoming"]

            send_until_stored(node.port, [run, *frames[:2]])

            assert files(layout) == []
            assert [(row.state, row.derived) for row in node.jobs()] == [("done", ()), ("done", ())]

            send_until_stored(node.port, frames[2:])  # wants the two before it
            wait_for(lambda: node.jobs()[-1].state == "lacking", "a job that lacks what was removed")
            assert "2 of them by retention" in node.jobs()[-1].reasons[0]
            send_until_stored(node.port, frames)
            node.wait_until_settled(3)

            assert [row.state for row in node.jobs()] == ["done"] * 3
            assert node.jobs()[-1].revision == 2
        assert len(pacs.stored) == 3
        assert pacs.requests.total() == requests + 1
        assert stored.items() <= pacs.stored.items()
