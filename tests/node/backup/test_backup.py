"""A backup of a real node's folder: whole or not there, checked before it is used, and the same again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.node.backup import saving
from casgan_dicom.node.backup.restoring import restore
from casgan_dicom.node.backup.saving import back_up
from casgan_dicom.node.service import run as run_service
from casgan_dicom.node.settings import DestinationSettings
from casgan_dicom.node.state.removal_lock import removals_to_myself
from tests.faults.modality import cine, send_until_stored, stills
from tests.faults.test_full_disk import mount_namespace
from tests.node.listening import rows_of
from tests.node.nodes import PROGRAM, node_settings, running_node, wait_for
from tests.node.proof.lives import Life

TABLES = ("jobs", "instances", "outbox", "deliveries", "stores", "quarantine")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A node that has delivered a cine and stills to a folder, and has stopped."""
    folder = tmp_path_factory.mktemp("lived")
    (share := folder / "share").mkdir()
    settings = node_settings(folder, DestinationSettings("share", kind="folder", folder=share))
    with running_node(settings) as node:
        files = [cine(folder / "sent", "run"), *stills(folder / "sent", "stills", 3)]
        send_until_stored(node.port, files)
        node.wait_until_settled(2)
    return Life(settings)


@pytest.fixture
def life(lived: Life, tmp_path: Path) -> Life:
    """The same, for this test alone."""
    return lived.copied(tmp_path)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a data folder that is no part of a database, a lock or a note of who runs."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("node.", "dbos."))
    }


def books(life: Life) -> dict[str, list[dict[str, object]]]:
    """What the ledger says."""
    return {table: rows_of(life.layout, table) for table in TABLES}


def test_what_was_backed_up_and_lost_is_there_again_to_the_last_byte(life: Life, tmp_path: Path) -> None:
    before, said = content(life.settings.data), books(life)

    card = back_up(life.layout, tmp_path / "backup")
    shutil.rmtree(life.settings.data)
    assert restore(tmp_path / "backup", life.layout) == card

    assert content(life.settings.data) == before
    assert books(life) == said
    assert life.prove()[1] == []
    assert (card.missing, card.files) == (0, len(before) + 2)
    assert not life.layout.restoring.exists()
    assert {path.stat().st_mode & 0o077 for path in life.settings.data.rglob("*")} == {0}


def test_a_token_that_opens_the_page_is_in_no_backup(life: Life, tmp_path: Path) -> None:
    life.layout.page_tokens.write_text("act first a-token-of-the-page\n")

    back_up(life.layout, tmp_path / "backup")

    assert "a-token-of-the-page" not in "".join(
        path.read_bytes().decode("latin-1") for path in (tmp_path / "backup").rglob("*") if path.is_file()
    )


def test_other_programs_can_check_a_backup(life: Life, tmp_path: Path) -> None:
    back_up(life.layout, tmp_path / "backup")

    check = ["sha256sum", "--check", "--strict", "--quiet", "files.sha256"]
    assert subprocess.run(check, cwd=tmp_path / "backup", check=False).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "node"]


def test_with_links_files_are_shared_and_without_they_are_copies(life: Life, tmp_path: Path) -> None:
    back_up(life.layout, tmp_path / "copies")
    back_up(life.layout, tmp_path / "links", link=True)

    (some, *_) = life.files("spool")
    place = some.relative_to(life.settings.data)
    assert (tmp_path / "links" / "data" / place).samefile(some)
    assert not (tmp_path / "copies" / "data" / place).samefile(some)
    for name in ("audit.log", "node.sqlite"):  # which are written to in their place
        assert not (tmp_path / "links" / "data" / name).samefile(life.settings.data / name)


def test_a_file_that_the_ledger_names_and_is_gone_is_counted(life: Life, tmp_path: Path) -> None:
    life.files("outbox")[0].unlink()

    assert back_up(life.layout, tmp_path / "backup").missing == 1


def test_a_backup_that_cannot_be_finished_leaves_nothing(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_card", full)

    with pytest.raises(OutputError):
        back_up(life.layout, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


_SMALL = 'mount -t tmpfs -o size=64k none "$0" && "$@"; echo "$? $(ls -A "$0" | wc -l)"'


def test_a_disk_that_is_too_small_is_exit_code_3_and_nothing_stays_on_it(life: Life, tmp_path: Path) -> None:
    (small := tmp_path / "small").mkdir()
    command = [str(PROGRAM), "node", "backup", str(small / "backup")]

    done = subprocess.run(
        [*mount_namespace(), "sh", "-c", _SMALL, str(small), *command],
        env=os.environ | {"CASGAN_NODE_DATA": str(life.settings.data)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["3", "0"]


def test_a_backup_whose_process_was_killed_is_none(life: Life, tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from casgan_dicom.node.backup import saving\n"
        "saving.write_card = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from casgan_dicom.node.state.layout import Layout\n"
        f"saving.back_up(Layout(Path({str(life.settings.data)!r})), Path({str(tmp_path / 'backup')!r}))"
    )

    killed = subprocess.run([sys.executable, "-c", code], check=False)

    assert killed.returncode == -signal.SIGKILL
    (part,) = tmp_path.glob(".backup.*")
    assert not (tmp_path / "backup").exists()
    with pytest.raises(ConfigError):
        restore(part, life.layout)


def test_nothing_is_removed_while_files_are_copied(life: Life, tmp_path: Path) -> None:
    """Whoever removes holds the folder against others; a backup waits for him, and holds it too."""
    done = threading.Event()

    def save() -> None:
        back_up(life.layout, tmp_path / "backup")
        done.set()

    with removals_to_myself(life.layout, wait=True):
        saving_thread = threading.Thread(target=save)
        saving_thread.start()
        wait_for(lambda: bool(list(tmp_path.glob(".backup.*"))), "the backup to begin")
        assert not done.is_set()
    saving_thread.join()

    assert done.is_set()


def test_where_a_backup_cannot_be(life: Life, tmp_path: Path) -> None:
    (taken := tmp_path / "taken").mkdir()
    (taken / "mine").write_bytes(b"")
    (empty := tmp_path / "empty").mkdir()

    for folder in (taken, life.settings.data / "backup", life.settings.data):
        with pytest.raises(ConfigError):
            back_up(life.layout, folder)
    assert back_up(life.layout, empty).files
    with pytest.raises(ConfigError):
        back_up(Life(replace(life.settings, data=tmp_path / "nobody")).layout, tmp_path / "backup")
    with pytest.raises(OutputError):
        back_up(life.layout, Path("/proc/backup"))


class TestRestoring:
    """What is refused, before anything is written."""

    @pytest.fixture
    def backup(self, life: Life, tmp_path: Path) -> Path:
        """A good one, of a data folder that is gone."""
        back_up(life.layout, tmp_path / "backup")
        shutil.rmtree(life.settings.data)
        return tmp_path / "backup"

    def refused(self, backup: Path, life: Life) -> str:
        """Why; the data folder was not touched."""
        with pytest.raises(ConfigError) as told:
            restore(backup, life.layout)
        assert not life.settings.data.exists()
        return told.value.message

    def test_a_byte_that_has_changed_is_named(self, backup: Path, life: Life) -> None:
        changed = next((backup / "data" / "outbox").rglob("*.dcm"))
        whole = bytearray(changed.read_bytes())
        whole[100] ^= 1
        changed.write_bytes(bytes(whole))

        assert str(changed) in self.refused(backup, life)

    def test_a_file_that_is_gone_is_named(self, backup: Path, life: Life) -> None:
        (backup / "data" / "node.sqlite").unlink()

        assert "node.sqlite" in self.refused(backup, life)

    def test_a_list_that_has_changed_is_none(self, backup: Path, life: Life) -> None:
        listed = backup / "files.sha256"
        listed.write_text("".join(listed.read_text().splitlines(keepends=True)[1:]))

        assert "files.sha256" in self.refused(backup, life)

    @pytest.mark.parametrize("card", ["", "{}", '{"format": 1}', "[]"])
    def test_a_folder_without_a_whole_card_is_no_backup(self, backup: Path, life: Life, card: str) -> None:
        (backup / "backup.json").write_text(card)

        assert "no whole backup" in self.refused(backup, life)

    def test_another_format_is_refused(self, backup: Path, life: Life) -> None:
        card = json.loads((backup / "backup.json").read_text())
        (backup / "backup.json").write_text(json.dumps(card | {"format": 2}))

        assert "format 2" in self.refused(backup, life)

    @pytest.mark.parametrize("path", ["/etc/passwd", "data/../../x", "elsewhere/x", "data"])
    def test_a_list_that_leads_out_of_the_folder_is_refused(
        self, backup: Path, life: Life, path: str
    ) -> None:
        listed = backup / "files.sha256"
        listed.write_text(f"{'0' * 64}  {path}\n")
        card = json.loads((backup / "backup.json").read_text())
        digest = subprocess.run(["sha256sum", listed], capture_output=True, text=True, check=True).stdout
        (backup / "backup.json").write_text(json.dumps(card | {"files_sha256": digest.split()[0]}))

        self.refused(backup, life)

    def test_it_is_restored_to_its_own_path_only(self, backup: Path, life: Life, tmp_path: Path) -> None:
        elsewhere = Life(replace(life.settings, data=tmp_path / "elsewhere"))

        assert "elsewhere" in self.refused(backup, elsewhere)

    def test_a_folder_that_holds_something_stays_as_it_is(self, backup: Path, life: Life) -> None:
        life.settings.data.mkdir()
        (life.settings.data / "mine").write_bytes(b"mine")

        with pytest.raises(ConfigError):
            restore(backup, life.layout)

        assert content(life.settings.data) == {"mine": b"mine"}

    def test_an_empty_folder_is_filled_and_stays_the_same_folder(self, backup: Path, life: Life) -> None:
        """It may be where a disk is mounted."""
        life.settings.data.mkdir()
        before = life.settings.data.stat().st_ino

        restore(backup, life.layout)

        assert life.settings.data.stat().st_ino == before
        assert life.prove()[1] == []

    def test_a_try_that_was_killed_starts_no_node_and_the_next_one_begins_anew(
        self, backup: Path, life: Life
    ) -> None:
        code = (
            "import os, signal; from pathlib import Path; from casgan_dicom.node.backup import restoring\n"
            "restoring.sync_folders = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "from casgan_dicom.node.state.layout import Layout\n"
            f"restoring.restore(Path({str(backup)!r}), Layout(Path({str(life.settings.data)!r})))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        assert life.layout.ledger.exists()

        with pytest.raises(ConfigError):
            run_service(life.settings, lambda _: os.abort(), threading.Event())
        restore(backup, life.layout)

        assert life.prove()[1] == []
        assert not life.layout.restoring.exists()


class TestCommand:
    """What the commands say."""

    def run(self, life: Life, *arguments: str) -> Result:
        """Run one with the data folder in the environment."""
        environment = {"CASGAN_NODE_DATA": str(life.settings.data)}
        return CliRunner().invoke(cli, ["node", *arguments], env=environment)

    def test_there_and_back(self, life: Life, tmp_path: Path) -> None:
        backup = tmp_path / "backup"
        saved = self.run(life, "backup", str(backup), "--json")
        shutil.rmtree(life.settings.data)
        restored = self.run(life, "restore", str(backup))

        assert (saved.exit_code, restored.exit_code) == (0, 0)
        assert json.loads(saved.stdout) == json.loads((backup / "backup.json").read_text())
        assert restored.stdout.startswith(f"{life.settings.data}: ")
        assert self.run(life, "audit", "--local").exit_code == 0

    def test_files_that_were_not_there_are_exit_code_1(self, life: Life, tmp_path: Path) -> None:
        life.files("spool")[0].unlink()

        assert self.run(life, "backup", str(tmp_path / "backup")).exit_code == 1

    def test_what_is_in_the_way_is_exit_code_5(self, life: Life, tmp_path: Path) -> None:
        assert self.run(life, "backup", str(life.settings.data)).exit_code == 5
        assert self.run(life, "restore", str(tmp_path)).exit_code == 5


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_books_in_a_server_are_not_taken_for_none(tmp_path: Path, command: str) -> None:
    config = tmp_path / "node.toml"
    url = "postgresql://casgan@db.example/casgan"
    config.write_text(f'data = "{tmp_path}"\n[state]\ndatabase = "{url}"\n', encoding="utf-8")

    done = CliRunner().invoke(cli, ["node", "--config", str(config), command, str(tmp_path / "kept")])

    assert done.exit_code == 5
    assert "in PostgreSQL" in done.stderr
    assert "pg_dump" in done.stderr
    assert not (tmp_path / "kept").exists()
