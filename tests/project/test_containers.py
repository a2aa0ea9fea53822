"""The image and the compose file, which nothing runs here: held against code, files and one another."""

from __future__ import annotations

import ipaddress
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from casgan_dicom.cli import cli
from casgan_dicom.node.checks import load_node_settings
from casgan_dicom.node.settings import ListenerSettings
from tests.support.orthanc import read_config

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "Containerfile"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PINNED = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)?:[\w.-]*\d[\w.-]*")
"""A short name and a version: no host, no `latest`."""


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Containerfile and its arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, arguments) for name, _, arguments in (line.partition(" ") for line in lines)]


def of(name: str) -> list[str]:
    return [arguments for each, arguments in instructions() if each == name]


def environment_of_the_image() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(of("ENV"))))


def test_images_are_pinned_by_short_name_and_version() -> None:
    bases = [each.split()[0] for each in of("FROM")]
    used = [each["image"] for each in services().values()]

    assert len(set(bases)) == 1  # what was built on one runs on the same
    for image in (*bases, *used):
        assert PINNED.fullmatch(image), image
    assert services()["node"]["image"] == f"casgan-dicom:{VERSION}"


def test_what_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sources = [path for line in of("COPY") if "--from" not in line for path in line.split()[:-1]]

    assert "casgan_dicom" in sources
    for path in sources:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored
    assert "*" in ignored


def test_the_image_builds_with_everything_that_the_package_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    copied = " ".join(of("COPY"))

    for path in (project["readme"], *project["license-files"], "pyproject.toml", "casgan_dicom"):
        assert path.split("/")[-1] in copied or path.split("/")[0] in copied


def test_the_image_installs_by_digest_and_no_gpu_unless_asked() -> None:
    installs = [each for each in of("RUN") if "pip install" in each]

    assert "--require-hashes --no-deps -r requirements.txt" in installs[0]
    assert of("ARG") == ["CUDA=no"]
    assert 'if [ "$CUDA" = no ]; then pip install --no-deps -c constraints.txt torch' in installs[1]
    needed = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").splitlines()[1:]
    hashed = (ROOT / "hashes.txt").read_text(encoding="utf-8").splitlines()
    names = {line.partition("==")[0] for line in needed}
    assert set(needed) <= set(hashed)
    assert {"dbos", "openvino", "pydicom", "starlette", "setuptools"} <= names
    assert not {"mypy", "pytest", "playwright", "torch", "wandb"} & names


def test_the_node_of_the_image_is_nobody_and_keeps_its_data_in_volumes() -> None:
    (user,) = of("USER")
    environ = environment_of_the_image()
    volumes = json.loads(of("VOLUME")[0])

    assert 0 not in map(int, user.split(":"))
    assert load_node_settings(None, environ).data.is_relative_to(volumes[0])
    assert environ["CASGAN_CACHE"] == volumes[1]
    for folder in volumes:
        assert re.search(rf"install -d -o {user.split(':')[0]} .*{folder}", " ".join(of("RUN")))
    assert json.loads(of("ENTRYPOINT")[0]) == ["casgan-dicom"]
    (command,) = json.loads(of("CMD")[0])
    assert cli.get_command(click.Context(cli), command) is not None
    assert of("EXPOSE") == [str(ListenerSettings().port)]


def test_every_container_is_hardened() -> None:
    for name, each in services().items():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in each
        assert "network_mode" not in each


def test_what_containers_mount_is_there_or_declared() -> None:
    declared = compose()
    for each in services().values():
        for volume in each.get("volumes", ()):
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
                assert mode == ["ro"]
            else:
                assert source in declared["volumes"]
        assert set(each.get("secrets", ())) <= set(declared["secrets"])
    used = {secret for each in services().values() for secret in each.get("secrets", ())}
    assert used == set(declared["secrets"])
    assert {secret["file"] for secret in declared["secrets"].values()} == {
        f"./secrets/{name}" for name in used
    }


def test_no_secret_can_get_into_the_repository() -> None:
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for each in services().values():
        for name, value in each.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")


def node_file() -> dict[str, Any]:
    return tomllib.loads((DEPLOY / "compose" / "node.toml").read_text(encoding="utf-8"))


def test_the_node_of_compose_takes_its_file() -> None:
    settings = load_node_settings(DEPLOY / "compose" / "node.toml", {})

    assert settings.listener.host == "0.0.0.0"
    assert [each.name for each in settings.destinations] == ["orthanc"]


def test_the_node_of_compose_finds_the_others() -> None:
    node, every = node_file(), services()
    secrets = {f"/run/secrets/{name}" for name in every["node"]["secrets"]}
    orthanc = read_config(DEPLOY / "compose" / "orthanc.json")
    (destination,), (peer,), page = node["destinations"], node["peers"], node["page"]

    assert (destination["host"], destination["port"]) == ("orthanc", orthanc["DicomPort"])
    assert destination["ae_title"] == peer["ae_title"] == orthanc["DicomAet"]
    assert orthanc["DicomModalities"] == {"casgan": ["CASGAN", "node", ListenerSettings().port]}
    (subnet,) = compose()["networks"]["default"]["ipam"]["config"]
    assert ipaddress.ip_network(peer["address"]) == ipaddress.ip_network(subnet["subnet"])
    environ = every["database"]["environment"]
    url = f"postgresql://{environ['POSTGRES_USER']}@database/{environ['POSTGRES_DB']}"
    assert node["state"] == {"database": url, "password_file": environ["POSTGRES_PASSWORD_FILE"]}
    assert {node["state"]["password_file"], page["tokens_file"]} == secrets
    assert f"127.0.0.1:{page['port']}:{page['port']}" in every["node"]["ports"]
    assert f"127.0.0.1:{page['port']}/healthz" in every["node"]["healthcheck"]["test"][-1]
    prometheus = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yaml").read_text(encoding="utf-8"))
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"{page['names'][0]}:{page['port']}"]}]
    assert Path(scrape["authorization"]["credentials_file"]).name in every["prometheus"]["secrets"]


def test_only_dicom_is_open_to_other_machines() -> None:
    dicom = {f"{port}:{port}" for port in (ListenerSettings().port, 4242)}

    for each in services().values():
        for port in each.get("ports", ()):
            assert port in dicom or port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["grafana-source.yaml", "grafana-provider.yaml"])
def test_grafana_finds_source_and_dashboard(name: str) -> None:
    loaded = yaml.safe_load((DEPLOY / "monitoring" / name).read_text(encoding="utf-8"))
    dashboard = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    mounted = " ".join(services()["grafana"]["volumes"])

    if name == "grafana-source.yaml":
        (source,) = loaded["datasources"]
        assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
        assert source["url"] == "http://prometheus:9090"
    else:
        (provider,) = loaded["providers"]
        assert f"dashboard.json:{provider['options']['path']}/" in mounted
