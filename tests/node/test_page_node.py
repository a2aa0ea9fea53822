"""The page as a process of a whole node: started, asked, and started again when it dies."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from casgan_dicom.node.settings import NodeSettings, PageSettings
from casgan_dicom.node.web.holders import tokens_path
from tests.faults.modality import cine, send
from tests.node.nodes import Node, node_settings, running_node, wait_for
from tests.support.orthanc import free_ports


def settings_of(folder: Path) -> NodeSettings:
    (port,) = free_ports(1)
    return replace(node_settings(folder), page=PageSettings(port=port))


def ask(node: Node, path: str, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{node.settings.page.port}{path}"
    return httpx.get(url, headers=headers, timeout=60, trust_env=False)


def token_of(node: Node) -> str:
    """The token that the node has made."""
    found = re.search(r"(?m)^page act (\S+)$", tokens_path(node.settings).read_text())
    assert found is not None
    return found[1]


def is_ready(node: Node) -> bool:
    try:
        return ask(node, "/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_series_is_followed_on_the_page_to_its_end_and_played(tmp_path: Path) -> None:
    with running_node(settings_of(tmp_path)) as node:
        token = token_of(node)
        wait_for(lambda: is_ready(node), "a node that is ready")
        status: dict[str, Any] = ask(node, "/api/v1/status", token).json()
        assert (status["phase"], status["findings"]) == ("running", [])
        assert all(each["pid"] for each in status["processes"])

        send(node.port, [cine(tmp_path / "a", "a")])
        node.wait_until_settled(1)

        (job,) = ask(node, "/api/v1/jobs", token).json()["jobs"]
        assert (job["state"], job["derived"]) == ("done", 1)
        assert ask(node, f"/api/v1/jobs/{job['job']}", token).json()["can_be_played"]
        run = ask(node, f"/player/items/{job['job']}", token).json()["runs"][0]
        assert run["tracks"].keys() >= {"source", "derived"}


def test_a_page_that_dies_is_started_again_and_nobody_else_notices(tmp_path: Path) -> None:
    with running_node(settings_of(tmp_path)) as node:
        wait_for(lambda: is_ready(node), "a node that is ready")
        others = {role: pid for role, pid in node.status().processes.items() if role != "page"}
        token, before = token_of(node), node.pid("page")

        os.kill(before, signal.SIGKILL)

        wait_for(lambda: node.status().processes.get("page") not in (None, before), "another page")
        wait_for(lambda: is_ready(node), "a node that is ready")
        assert ask(node, "/api/v1/self", token).json() == {"name": "page", "role": "act"}
        now = node.status().processes
        assert {role: now[role] for role in others} == others
