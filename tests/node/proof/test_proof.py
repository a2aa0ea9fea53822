"""Ledger, disk and archives of a real node: what is lost is told, what is removed or new is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from casgan_dicom.node.proof.deviation import Deviation
from casgan_dicom.node.proof.proof import Scope
from casgan_dicom.node.settings import DestinationSettings, RetentionSettings
from casgan_dicom.node.state import evidence
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.work.cleaner import Cleaner
from tests.faults.modality import cine, send_until_stored, stills
from tests.node.nodes import destination, node_settings, running_node
from tests.node.proof.lives import Life
from tests.support.fake_pacs import FakePacs

OLD = -60.0
"""Every file counts as old, also one that a test has made this moment."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A node that has delivered a cine and stills to an archive and to a folder, and has stopped."""
    folder = tmp_path_factory.mktemp("lived")
    (share := folder / "share").mkdir()
    with FakePacs() as pacs:
        own = DestinationSettings("share", kind="folder", folder=share)
        settings = node_settings(folder, destination("pacs", pacs), own)
        with running_node(settings) as node:
            files = [cine(folder / "sent", "run"), *stills(folder / "sent", "stills", 3)]
            send_until_stored(node.port, files)
            node.wait_until_settled(2)
        yield Life(settings)


@pytest.fixture
def life(lived: Life, tmp_path: Path) -> Life:
    """The same, for this test alone."""
    return lived.copied(tmp_path)


def told(found: list[Deviation]) -> list[tuple[str, str, str]]:
    return [(each.kind, each.where, Path(each.what).name) for each in found]


def flip(path: Path, at: int = -1) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def test_a_node_that_lost_nothing_is_well_wherever_its_folder_is(life: Life) -> None:
    proof, found = life.prove()

    assert found == []
    assert proof.files == {"spool": 4, "outbox": 2}
    assert not proof.is_lost
    assert not proof.is_open


@pytest.mark.parametrize("room", ["spool", "outbox"])
def test_each_kind_of_loss_is_told_with_the_file(life: Life, room: str) -> None:
    gone, changed = life.files(room)[:2]
    gone.unlink()
    flip(changed)

    proof, found = life.prove()

    assert sorted(told(found)) == sorted([("missing", room, gone.name), ("damaged", room, changed.name)])
    assert proof.deviations == Counter(missing=1, damaged=1)
    assert proof.is_lost


def test_a_file_that_was_cut_or_is_no_dicom_any_more_is_told(life: Life) -> None:
    cut, overwritten, *_ = life.files("spool")
    cut.write_bytes(cut.read_bytes()[:-2])
    overwritten.write_bytes(bytes(overwritten.stat().st_size))

    _, found = life.prove()

    assert sorted(told(found)) == sorted(
        [("length", "spool", cut.name), ("damaged", "spool", overwritten.name)]
    )


def test_without_hashes_only_what_lies_there_is_compared(life: Life) -> None:
    first, second, *_ = life.files("spool")
    flip(first)
    second.unlink()

    _, found = life.prove(Scope(hashes=False, young_seconds=OLD))

    assert told(found) == [("missing", "spool", second.name)]


def test_files_that_nobody_knows_are_told_and_break_nothing_else(life: Life) -> None:
    series, job = life.files("spool")[0].parent, life.files("outbox")[0].parent
    strangers = [
        series / "1.2.3-abc.dcm",
        life.layout.spool / "loose.dcm",
        job / "1.2.3.dcm",
        life.layout.outbox / "0123456789abcdef" / "report.json",
        life.layout.quarantine / "00.dcm",
    ]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (life.layout.incoming / "0.part").write_bytes(b"")

    proof, found = life.prove()

    assert {each.what for each in found} == set(map(str, strangers))
    assert proof.deviations == Counter({"unknown-file": 5})
    assert (proof.is_lost, proof.is_open) == (False, True)
    assert life.prove(Scope())[1] == []  # they may be on their way into the ledger
    assert life.prove(Scope(since=1.0, young_seconds=OLD))[1] == []


def test_what_was_removed_is_not_missed_and_what_stayed_of_it_is_unknown(life: Life) -> None:
    kept = life.files("spool")[0]
    settings = replace(life.settings, retention=RetentionSettings(delivered_seconds=0.001))
    ledger = Ledger(life.layout.ledger)
    Cleaner(settings, ledger).clean(time() + 1)
    ledger.close()
    assert life.files("spool") == life.files("outbox") == []
    kept.parent.mkdir()
    kept.write_bytes(b"")

    proof, found = life.prove()

    assert told(found) == [("unknown-file", "spool", kept.name)]
    assert proof.files.total() == 0


def test_a_large_ledger_is_read_in_pages_and_nothing_is_passed_over(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "PAGE", 1)
    for path in (*life.files("spool"), *life.files("outbox")):
        path.unlink()

    proof, found = life.prove()

    assert len(set(found)) == len(found) == 6
    assert proof.files == {"spool": 4, "outbox": 2}


def test_since_leaves_out_what_was_before(life: Life) -> None:
    for path in life.files("spool"):
        path.unlink()

    assert life.prove(Scope(since=time() + 1))[1] == []
    assert len(life.prove(Scope(since=1.0))[1]) == 4


class TestArchives:
    """Who is asked, and what is made of the answers."""

    def scope(self, life: Life, name: str) -> Scope:
        """Ask one destination."""
        (place,) = (each for each in life.settings.destinations if each.name == name)
        return Scope(ask=(place,), delivered=(name,), young_seconds=OLD)

    @pytest.fixture
    def shared(self, life: Life, tmp_path: Path) -> Life:
        """With a copy of the folder that results went to."""
        pacs, share = life.settings.destinations
        assert share.folder is not None
        folder = tmp_path / "share"
        folder.mkdir()
        for path in share.folder.rglob("*.dcm"):
            there = folder / path.relative_to(share.folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
        places = (pacs, replace(share, folder=folder))
        return Life(replace(life.settings, destinations=places))

    def test_a_folder_that_holds_everything_is_well(self, shared: Life) -> None:
        proof, found = shared.prove(self.scope(shared, "share"))

        assert found == []
        assert [(each.delivered, each.found, each.unknown) for each in proof.archives] == [(2, 2, "")]

    def test_an_object_that_is_gone_is_lost_and_one_that_is_not_ours_is_told(self, shared: Life) -> None:
        folder = shared.settings.destinations[1].folder
        assert folder is not None
        first, second = sorted(folder.rglob("*.dcm"))
        first.unlink()
        (second.parent / "1.2.3.dcm").write_bytes(b"")

        proof, found = shared.prove(self.scope(shared, "share"))

        assert {(each.kind, each.where, each.what) for each in found} == {
            ("not-in-archive", "share", first.stem),
            ("not-ours", "share", "1.2.3"),
        }
        assert proof.is_lost

    def test_a_flat_folder_is_looked_at_too(self, shared: Life, tmp_path: Path) -> None:
        (flat := tmp_path / "flat").mkdir()
        first, second = shared.files("outbox")
        (flat / first.name).write_bytes(b"")
        place = replace(shared.settings.destinations[1], folder=flat, layout="flat")

        _, found = shared.prove(Scope(ask=(place,), delivered=("share",), young_seconds=OLD))

        assert [(each.kind, each.what) for each in found] == [("not-in-archive", second.stem)]

    def test_a_share_that_is_away_is_unknown_and_nothing_is_called_missing(self, shared: Life) -> None:
        place = replace(shared.settings.destinations[1], folder=Path("/nowhere/at/all"))

        proof, found = shared.prove(Scope(ask=(place,), delivered=("share",), young_seconds=OLD))

        assert found == []
        assert proof.archives[0].unknown
        assert (proof.is_lost, proof.is_open) == (False, True)

    def test_an_archive_that_takes_no_queries_is_unknown(self, life: Life, pacs: FakePacs) -> None:
        place = replace(life.settings.destinations[0], port=pacs.port)

        proof, found = life.prove(Scope(ask=(place,), delivered=("pacs",), young_seconds=OLD))

        assert found == []
        assert "does not accept" in proof.archives[0].unknown
        assert not proof.is_lost

    def test_an_archive_that_is_away_is_unknown(self, life: Life) -> None:
        """The one that everything was sent to has ended."""
        proof, found = life.prove(self.scope(life, "pacs"))

        assert found == []
        assert proof.archives[0].unknown


class TestCommand:
    """What ``casgan-dicom node audit`` says."""

    def run(self, life: Life, *arguments: str) -> Result:
        """Run it with a configuration that has a folder as its destination."""
        share = life.settings.destinations[1]
        path = life.settings.data.parent / "node.toml"
        path.write_text(
            f'data = "{life.settings.data}"\n[[destinations]]\nname = "share"\nkind = "folder"\n'
            f'folder = "{share.folder}"\n'
        )
        return CliRunner().invoke(cli, ["node", "--config", str(path), "audit", *arguments])

    def test_all_is_well(self, life: Life) -> None:
        done = self.run(life)

        assert done.exit_code == 0
        assert "deviations      none" in done.stdout

    def test_a_loss_is_exit_code_2_and_named(self, life: Life) -> None:
        gone = life.files("outbox")[0]
        gone.unlink()

        done = self.run(life, "--local")
        as_json = self.run(life, "--json")

        assert done.exit_code == as_json.exit_code == 2
        assert str(gone) in done.stdout
        told = json.loads(as_json.stdout)
        assert told["named"] == [{"kind": "missing", "where": "outbox", "what": str(gone)}]
        assert (told["deviations"], told["lost"]) == ({"missing": 1}, True)
        assert told["archives"][0]["found"] == 2

    def test_more_than_the_limit_are_counted_and_not_named(self, life: Life) -> None:
        for path in life.files("spool"):
            path.unlink()

        told = json.loads(self.run(life, "--json", "--limit", "1").stdout)

        assert len(told["named"]) == 1
        assert told["deviations"] == {"missing": 4}

    def test_what_cannot_be_told_is_exit_code_1(self, life: Life) -> None:
        place = replace(life.settings.destinations[1], folder=Path("/nowhere"))
        life = Life(replace(life.settings, destinations=(life.settings.destinations[0], place)))

        assert self.run(life).exit_code == 1

    @pytest.mark.parametrize("option", ["--destination", "--archive"])
    def test_a_name_that_nobody_has_is_an_error(self, life: Life, option: str) -> None:
        assert self.run(life, option, "other").exit_code == 5

    def test_options_narrow_it(self, life: Life) -> None:
        for path in (*life.files("spool")[:1], *life.files("outbox")[:1]):
            flip(path)

        assert self.run(life, "--no-hash").exit_code == 0
        assert self.run(life, "--since", "2999-01-01").exit_code == 0
        assert self.run(life, "--since", "2000-01-01T00:00:00").exit_code == 2
