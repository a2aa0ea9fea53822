"""Rules in a node that runs: real processes, two laboratories, two archives."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from casgan_dicom.cli import cli
from casgan_dicom.node.settings import DestinationSettings, NodeSettings, RuleSettings
from casgan_dicom.node.state.overview import JobRow
from tests.faults.modality import cine, send, stills
from tests.node.nodes import Node, destination, node_settings, running_node, wait_for
from tests.support.factories import uid
from tests.support.fake_pacs import FakePacs

ROOT = Path(__file__).resolve().parents[2]
RULES = (
    RuleSettings("fluoro", header=("SeriesDescription contains fluoro",), convert=False),
    RuleSettings("lab-2", calling_ae=("LAB2",), destinations=("b",), compression="rle", priority="urgent"),
    RuleSettings("no-contrast", calling_ae=("LAB1",), opacified="no", destinations=("a",)),
    RuleSettings(
        "outbox", header=("Modality = XA",), called_ae=("CASGAN",), calling_ae=("LAB*",), destinations=()
    ),
)


def as_toml(settings: NodeSettings) -> str:
    """The settings that a command has to know."""
    lines = [
        f'data = "{settings.data}"',
        f'[worker]\nbundle = "{settings.worker.bundle}"',
        'engine = "torch"',
    ]
    for each in settings.destinations:
        lines.append(f'[[destinations]]\nname = "{each.name}"\nhost = "{each.host}"\nport = {each.port}')
        lines.append(f'ae_title = "{each.ae_title}"')
    for rule in settings.rules:
        lines.append("[[rules]]")
        default = RuleSettings("")
        for key, value in vars(rule).items():
            if value != getattr(default, key):
                said = list(value) if isinstance(value, tuple) else value
                lines.append(f"{key} = {json.dumps(said)}")
    return "\n".join(lines)


def settings_of(folder: Path, *destinations: DestinationSettings) -> NodeSettings:
    return replace(node_settings(folder, *destinations), rules=RULES)


def row_of(node: Node, name: str) -> JobRow:
    """The only job of a series, at its end."""

    def ended() -> list[JobRow]:
        rows = [row for row in node.jobs() if row.series_uid == uid(f"series {name}")]
        return [row for row in rows if row.state in ("done", "kept", "skipped", "failed")]

    wait_for(lambda: bool(ended()), lambda: f"the end of {name}; there are {node.jobs()}")
    (row,) = ended()
    return row


def tried(config: Path, path: Path, *options: str) -> dict[str, object]:
    """What `test-rules` says about the only series of a path."""
    done = CliRunner().invoke(
        cli, ["node", "--config", str(config), "test-rules", "--json", *options, str(path)]
    )
    assert done.exit_code == 0, done.stderr
    (trial,) = json.loads(done.stdout)
    assert isinstance(trial, dict)
    return trial


def test_each_series_becomes_what_its_rule_says_and_what_the_trial_said(tmp_path: Path) -> None:
    sent = {
        ("LAB1", "fluoro"): cine(tmp_path / "fluoro", "fluoro", SeriesDescription="Fluoro 15/s"),
        ("LAB2", "second"): cine(tmp_path / "second", "second"),
        ("LAB1", "first"): cine(tmp_path / "first", "first"),
        ("OTHER", "stranger"): cine(tmp_path / "stranger", "stranger"),
        ("LAB3", "third"): cine(tmp_path / "third", "third"),
    }
    with FakePacs() as a, FakePacs() as b:
        settings = settings_of(tmp_path, destination("a", a), destination("b", b))
        config = tmp_path / "node.toml"
        config.write_text(as_toml(settings))
        expected = {
            name: tried(config, path, "--calling-ae", title, "--address", "127.0.0.1")
            for (title, name), path in sent.items()
        }
        with running_node(settings) as node:
            for (title, _), path in sent.items():
                send(node.port, [path], ae_title=title)
            rows = {name: row_of(node, name) for _, name in sent}
            stored = {"a": set(a.stored), "b": set(b.stored)}

    assert {name: row.rule for name, row in rows.items()} == {
        "fluoro": "fluoro", "second": "lab-2", "first": "no-contrast", "stranger": "", "third": "outbox",
    }  # fmt: skip
    for name, trial in expected.items():
        row = rows[name]
        assert (trial["rule"], trial["convert"]) == (row.rule, row.state == "done")
        assert trial["destinations"] == [each.destination for each in row.deliveries]
    assert (rows["fluoro"].state, rows["stranger"].state) == ("kept", "kept")
    made = {name: [dcmread(path) for path in row.derived] for name, row in rows.items()}
    assert stored["a"] == {ds.SOPInstanceUID for ds in made["first"]}
    assert stored["b"] == {ds.SOPInstanceUID for ds in made["second"]}
    assert rows["third"].deliveries == ()
    assert len(made["third"]) == 1
    assert made["second"][0].file_meta.TransferSyntaxUID.name == "RLE Lossless"
    assert rows["second"].priority == "urgent"


def test_the_same_instances_again_never_convert_twice_under_rules(tmp_path: Path) -> None:
    files = stills(tmp_path / "sent", "run", 4)
    with (
        FakePacs() as pacs,
        running_node(settings_of(tmp_path, destination("a", pacs), destination("b", pacs))) as node,
    ):
        send(node.port, files, ae_title="LAB2")
        first = row_of(node, "run")
        send(node.port, files, ae_title="LAB1")  # from another sender, for whom another rule is
        send(node.port, [cine(tmp_path / "sent", "last")], ae_title="LAB2")
        row_of(node, "last")
        rows = [row for row in node.jobs() if row.series_uid == uid("series run")]
        requests = pacs.requests

    assert [(row.job, row.rule) for row in rows] == [(first.job, "lab-2")]
    assert set(requests.values()) == {1}


def test_a_rule_that_may_hold_gives_its_priority_before_anybody_has_looked_at_pixels(tmp_path: Path) -> None:
    rules = (RuleSettings("maybe", opacified="yes", priority="batch"), RuleSettings("all", priority="urgent"))
    settings = replace(node_settings(tmp_path), rules=rules)

    with running_node(settings) as node:
        send(node.port, [cine(tmp_path / "sent", "run")])
        row = row_of(node, "run")

    assert (row.priority, row.rule) == ("batch", "all")


@pytest.mark.parametrize("options", [(), ("--headers-only",)])
def test_the_trial_says_where_pixels_are_needed(tmp_path: Path, options: tuple[str, ...]) -> None:
    config = tmp_path / "node.toml"
    rules = (RuleSettings("dark", opacified="no", destinations=()), RuleSettings("rest", convert=False))
    config.write_text(as_toml(replace(node_settings(tmp_path), rules=rules)))

    trial = tried(config, cine(tmp_path / "sent", "run"), *options)

    assert trial["rule"] == "dark"
    assert trial["open"] == (["opacified no"] if options else [])
    assert not (tmp_path / "node").exists()


def test_the_trial_is_readable_and_quotes_no_patient(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    rules = (
        RuleSettings("lab", header=("PatientName contains bob",), calling_ae=("LAB1",)),
        RuleSettings("all", bits=12, destinations=()),
    )
    config.write_text(as_toml(replace(node_settings(tmp_path), rules=rules)))
    path = cine(tmp_path / "sent", "run", PatientName="Secret^Patient")

    said = CliRunner().invoke(cli, ["node", "--config", str(config), "test-rules", str(path)]).output

    assert "Secret" not in said
    assert f"series {uid('series run')}" in said
    assert "rule        all" in said
    assert (
        "passed over rule 'lab': calling_ae LAB1 is unknown: nobody said; header 'PatientName contains bob'"
        " does not hold: it is another value" in said
    )
    assert "becomes     one object for each run, 12 bits; by bundle" in said
    assert "goes to     outbox\n" in said


def test_a_rule_whose_bundle_is_not_there_starts_no_node_and_is_named(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        as_toml(replace(node_settings(tmp_path), rules=(RuleSettings("odd", bundle="nothing"),)))
    )

    for command in ([], ["test-rules", str(tmp_path)]):
        done = CliRunner().invoke(cli, ["node", "--config", str(config), *command])
        assert done.exit_code == 5
        assert "rule 'odd': bundle 'nothing'" in done.stderr


def test_the_example_of_the_documents_prints_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## Rules")[2]
    toml, console = (section.partition(f"```{kind}\n")[2].partition("```")[0] for kind in ("toml", "console"))
    (tmp_path / "node.toml").write_text(toml)
    command, _, printed = console.partition("\n")
    (tmp_path / "sample_series").symlink_to(ROOT / "sample_series")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASGAN_DATA", str(tmp_path / "data"))

    done = CliRunner().invoke(cli, shlex.split(command.removeprefix("$ casgan-dicom ")))

    assert done.stdout == printed
