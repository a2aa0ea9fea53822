"""``casgan-dicom verify``: findings on stdout, an exit code that a script can use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from casgan_dicom.cli import cli
from tests.support.derived import cine_of
from tests.support.factories import write_xa
from tests.support.honest import put, rewrite, write_cine


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, ["verify", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    path = tmp_path / "derived" / "honest.dcm"
    path.parent.mkdir()
    return write_cine(cine_of(tmp_path / "in"), path)


@pytest.fixture
def dishonest(honest: Path) -> Path:
    ds = dcmread(honest)
    del ds.SyntheticData
    ds.ConversionType = "DI"
    path = honest.with_name("other.dcm")
    ds.save_as(path, enforce_file_format=True)
    return path


def test_honest_object_is_ok(honest: Path) -> None:
    result = run(honest)

    assert (result.exit_code, result.stdout) == (0, f"{honest}: ok\n")


def test_every_finding_is_named_and_the_exit_code_is_3(honest: Path, dishonest: Path) -> None:
    result = run(honest, dishonest)

    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        f"{honest}: ok",
        f"{dishonest}: synthetic-data: SyntheticData (0008,001C) is absent or empty, need YES",
        f"{dishonest}: conversion-type: ConversionType (0008,0064) is 'DI', need SYN",
    ]


def test_json_has_rule_and_message(honest: Path, dishonest: Path) -> None:
    result = run("--json", honest, dishonest)

    told = {
        item["path"]: [finding["rule"] for finding in item["findings"]] for item in json.loads(result.stdout)
    }
    assert told == {str(honest): [], str(dishonest): ["synthetic-data", "conversion-type"]}
    assert result.exit_code == 3


def test_folder_stands_for_the_objects_in_it(honest: Path, dishonest: Path) -> None:
    honest.with_name("report.json").write_text("{}")

    assert len(json.loads(run("--json", honest.parent).stdout)) == 2


def test_folder_without_objects_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path)

    assert result.exit_code == 3
    assert "no file to check" in result.stderr


def test_acquisition_and_rubbish_are_found_out(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"nothing")

    result = run(rubbish, write_xa(tmp_path / "xa"))

    assert result.exit_code == 3
    assert f"{rubbish}: readable: no readable DICOM file (InvalidDicomError)" in result.stdout
    assert "sop-class: SOPClassUID (0008,0016) is 'X-Ray Angiographic Image Storage'" in result.stdout


def test_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere").exit_code == 2


def test_source_is_compared_on_request(honest: Path, tmp_path: Path) -> None:
    rewrite(honest, put(PatientID="TEST-2"))

    alone, compared = run(honest), run("--source", tmp_path / "in", honest)

    assert (alone.exit_code, compared.exit_code) == (0, 3)
    assert compared.stdout == (
        f"{honest}: source-identity: PatientID (0010,0020) is not that of the source\n"
    )


def test_several_sources_may_be_given_by_the_environment(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_xa(tmp_path / "other" / "xa", SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.4")
    monkeypatch.setenv("CASGAN_VERIFY_SOURCE", os.pathsep.join([str(other), str(tmp_path / "in")]))

    assert run(honest).exit_code == 0

    monkeypatch.setenv("CASGAN_VERIFY_SOURCE", str(other))

    assert "source-reference" in run(honest).stdout


def test_source_that_is_no_dicom_is_an_error(honest: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")

    result = run("--source", tmp_path / "text", honest)

    assert result.exit_code == 3
    assert "no DICOM files" in result.stderr
