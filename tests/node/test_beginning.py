"""Answers become a configuration that a node takes, or one error that names everything wrong with them."""

from __future__ import annotations

from pathlib import Path
from stat import S_IMODE

import pytest

from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.node.beginning import Answers, configuration, write_configuration
from casgan_dicom.node.checks import load_node_settings
from casgan_dicom.node.settings import (
    DestinationSettings,
    ListenerSettings,
    NodeSettings,
    PeerSettings,
    RetentionSettings,
)


def loaded(folder: Path, answers: Answers) -> NodeSettings:
    """What a node reads of it."""
    path = folder / "node.toml"
    write_configuration(path, configuration(answers), force=True)
    return load_node_settings(path, {})


def test_no_answers_are_a_node_with_its_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, Answers(tmp_path)) == NodeSettings(data=tmp_path)


def test_everything_that_was_answered_is_what_the_node_does(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        Answers(
            Path("/srv/casgan"),
            ae_title="SYNTH",
            port=104,
            senders=("CATHLAB1@10.1.2.3", "CATHLAB2@10.1.9.0/24", "HERE", "LOCAL@127.0.0.1"),
            destinations=(
                "PACS@10.1.2.4:104",
                "OTHER@[fd00::1]:11112",
                "https://a.example/studies",
                "/mnt/a",
            ),
            keep_days=7,
        ),
    )

    assert found == NodeSettings(
        data=Path("/srv/casgan"),
        listener=ListenerSettings(host="0.0.0.0", port=104, ae_title="SYNTH"),
        retention=RetentionSettings(delivered_seconds=604800, ended_seconds=604800),
        peers=(
            PeerSettings("CATHLAB1", "10.1.2.3"),
            PeerSettings("CATHLAB2", "10.1.9.0/24"),
            PeerSettings("HERE"),
            PeerSettings("LOCAL"),
        ),
        destinations=(
            DestinationSettings("pacs", "10.1.2.4", 104, "PACS"),
            DestinationSettings("pacs2", "fd00::1", 11112, "OTHER"),
            DestinationSettings("web", kind="stow", url="https://a.example/studies"),
            DestinationSettings("folder", kind="folder", folder=Path("/mnt/a")),
        ),
    )


def test_a_node_whose_senders_are_here_listens_here_only(tmp_path: Path) -> None:
    assert loaded(tmp_path, Answers(tmp_path, senders=("HERE",))).listener.host == "127.0.0.1"
    other = Answers(tmp_path, senders=("CT1@10.1.2.3",), host="10.1.2.2")
    assert loaded(tmp_path, other).listener.host == "10.1.2.2"


def test_tls_names_the_files_that_the_command_for_trials_makes(tmp_path: Path) -> None:
    listener = loaded(tmp_path, Answers(tmp_path, tls=tmp_path / "tls")).listener

    names = [listener.tls_certificate, listener.tls_key, listener.tls_authorities]
    assert names == [f"{tmp_path}/tls/{name}" for name in ("node.pem", "node.key", "ca.pem")]


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        (Answers(Path("/a"), port=70000), ["listener.port"]),
        (Answers(Path("/a"), page_port=70000), ["page.port"]),
        (
            Answers(Path("/a"), ae_title="A" * 17, senders=("@10.1.2.3",)),
            ["listener.ae_title", "peers#1.ae_title"],
        ),
        (Answers(Path("/a"), senders=("A@10.1.2",)), ["peers#1.address"]),
        (Answers(Path("/a"), host="0.0.0.0"), ["listener.host"]),
        (Answers(Path("/a"), destinations=("pacs",)), ["'pacs' is no destination"]),
        (
            Answers(Path("/a"), destinations=("A@b:99999", "A@b:0")),
            ["destinations#1.port", "destinations#2.port"],
        ),
        (Answers(Path("/a"), destinations=("https://me@a.example/",)), ["destinations#1.url"]),
    ],
)
def test_answers_that_make_no_sense_are_told_by_their_keys_all_at_once(
    answers: Answers, named: list[str]
) -> None:
    with pytest.raises(ConfigError) as told:
        configuration(answers)

    assert all(each in told.value.message for each in named)


def test_a_file_that_is_there_stays_as_it_is_unless_it_is_forced(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("mine")

    with pytest.raises(ConfigError):
        write_configuration(path, "theirs", force=False)
    assert path.read_text() == "mine"

    write_configuration(path, "theirs", force=True)
    assert path.read_text() == "theirs"


def test_a_link_that_leads_nowhere_is_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "node.toml").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError):
        write_configuration(tmp_path / "node.toml", "", force=False)


def test_its_user_and_group_read_it_and_nothing_else_lies_there(tmp_path: Path) -> None:
    write_configuration(tmp_path / "node.toml", "text", force=False)

    (path,) = tmp_path.iterdir()
    assert S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_configuration(tmp_path / "etc" / "node.toml", "", force=False)
