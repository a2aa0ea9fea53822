"""Certificates for tests, beside the program openssl."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.settings import PeerSettings
from tests.node.listening import listening
from tests.support.programs import find_program


def make(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["node", "certificates", str(folder), *options])


def openssl(*arguments: str) -> str:
    command = [find_program("openssl", "openssl"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_openssl_verifies_what_was_made_and_reads_that_it_is_for_tests(tmp_path: Path) -> None:
    result = make(tmp_path / "tls", "--name", "node.example", "--name", "10.0.0.1")

    assert result.exit_code == 0, result.output
    assert "for tests only" in result.stderr
    for name in ("node", "peer"):
        path = str(tmp_path / "tls" / f"{name}.pem")
        openssl("verify", "-x509_strict", "-CAfile", str(tmp_path / "tls" / "ca.pem"), path)
        assert "FOR TESTS ONLY" in openssl("x509", "-in", path, "-noout", "-subject")
    names = openssl("x509", "-in", str(tmp_path / "tls" / "node.pem"), "-noout", "-ext", "subjectAltName")
    assert "DNS:node.example" in names
    assert "IP Address:10.0.0.1" in names


def test_each_peer_has_a_pair_of_its_own(tmp_path: Path) -> None:
    peers = ("--peer", "ct1.example", "--peer", "ct2", "--peer", "ct2")
    files = json.loads(make(tmp_path, *peers, "--json").stdout)

    assert set(files) == {
        f"{name}.{end}" for name in ("ca", "node", "ct1.example", "ct2") for end in ("pem", "key")
    }
    assert len({Path(path).read_bytes() for path in files.values()}) == 8
    for name in ("ct1.example", "ct2"):
        openssl("verify", "-x509_strict", "-CAfile", files["ca.pem"], files[f"{name}.pem"])
        assert f"DNS:{name}" in openssl(
            "x509", "-in", files[f"{name}.pem"], "-noout", "-ext", "subjectAltName"
        )


@pytest.mark.parametrize("name", ["node", "ca", "", "../ct1", "a/b", ".hidden", "-x", "a b", "x" * 65])
def test_peer_that_can_name_no_files_is_refused(tmp_path: Path, name: str) -> None:
    result = make(tmp_path / "tls", f"--peer={name}")

    assert result.exit_code == 2
    assert "can name no files" in result.stderr
    assert not (tmp_path / "tls").exists()


def test_settings_may_name_what_is_still_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASGAN_NODE_CONFIG", str(tmp_path / "node.toml"))

    assert make(tmp_path / "tls").exit_code == 0


def test_keys_may_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    files = json.loads(make(tmp_path / "tls", "--json").stdout)

    modes = {name: stat.S_IMODE(Path(path).stat().st_mode) for name, path in files.items()}
    assert {mode for name, mode in modes.items() if name.endswith(".key")} == {0o600}
    assert len(modes) == 6


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "node.key").write_text("mine")

    result = make(tmp_path)

    assert result.exit_code == 3
    assert "node.key is there already: nothing was written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["node.key"]
    assert (tmp_path / "node.key").read_text() == "mine"


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = make(tmp_path / "file" / "inside")

    assert result.exit_code == 3
    assert "cannot be written" in result.stderr


def test_node_and_peer_talk_with_them(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    make(tls)
    keys: dict[str, Any] = {
        "tls_certificate": str(tls / "node.pem"),
        "tls_key": str(tls / "node.key"),
        "tls_authorities": str(tls / "ca.pem"),
    }
    with listening(tmp_path / "data", **keys) as running:
        there = ["echo", "localhost", str(running.port), "-aec", "CASGAN"]
        shown = ["--tls", "--ca", str(tls / "ca.pem"), "--cert", str(tls / "peer.pem")]
        good = CliRunner().invoke(cli, [*there, *shown, "--key", str(tls / "peer.key")])
        bare = CliRunner().invoke(cli, [*there, *shown[:3]])
        half = CliRunner().invoke(cli, [*there, *shown])
        plain = CliRunner().invoke(cli, there)
        stray = CliRunner().invoke(cli, [*there, *shown[1:3]])
        broken = CliRunner().invoke(cli, [*there, "--tls", "--ca", str(tls / "ca.key")])
        absent = CliRunner().invoke(cli, [*there, "--tls", "--cert", "no.pem", "--key", "no.key"])

    assert good.exit_code == 0, good.output
    assert (bare.exit_code, plain.exit_code) == (6, 6)
    assert "--cert" in bare.stderr
    assert (half.exit_code, stray.exit_code) == (2, 2)
    assert broken.exit_code == 5
    assert f"--ca {tls / 'ca.key'} holds no certificate in PEM" in broken.stderr
    assert absent.exit_code == 5
    assert absent.stderr.startswith("casgan-dicom: files of TLS are no good:\n  --cert no.pem cannot be read")


def test_who_shows_the_certificate_of_another_is_told_to_look_at_it(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    make(tls, "--peer", "ct1", "--peer", "ct2")
    keys: dict[str, Any] = {
        "tls_certificate": str(tls / "node.pem"),
        "tls_key": str(tls / "node.key"),
        "tls_authorities": str(tls / "ca.pem"),
    }
    bound = PeerSettings("CT1", "127.0.0.1", certificate_name="DNS:ct1")
    with listening(tmp_path / "data", peers=(bound,), **keys) as running:
        there = ["echo", "localhost", str(running.port), "-aec", "CASGAN", "-aet", "CT1", "--tls"]
        there += ["--ca", str(tls / "ca.pem")]
        own, other = (
            CliRunner().invoke(
                cli, [*there, "--cert", str(tls / f"{name}.pem"), "--key", str(tls / f"{name}.key")]
            )
            for name in ("ct1", "ct2")
        )

    assert own.exit_code == 0, own.output
    assert other.exit_code == 6
    assert "calling AE title 'CT1' is not allowed there" in other.stderr
    assert "enter our AE title, our certificate and the address" in other.stderr
