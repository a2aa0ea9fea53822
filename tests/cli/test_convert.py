"""``casgan-dicom convert`` as a user meets it: messages, exit codes, what is printed where."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    CTImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
)

from casgan_dicom import __version__
from casgan_dicom.cli import cli
from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.model import generator as module
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.bundle.writing import save_bundle
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.networks.unet import UNet
from casgan_dicom.model.preset_files import load_settings
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import DisplayMapping, to_stored
from casgan_dicom.source.series import find_series
from casgan_dicom.verification.verify import verify_file
from tests.support.atlas import Planner, PlanPainter
from tests.support.factories import moving_frames, uid, write_header, write_xa
from tests.support.painter import DiscPainter
from tests.support.validators import dcentvfy, dciodvfy, of_our_making

WEIGHTS = Path(module.__file__).parent / "weights"


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Let the disc painter stand in for the shipped bundle; the list holds what was asked of `load`."""
    asked: list[dict[str, object]] = []

    def load(bundle: str | Path = "", **options: object) -> module.Generator:
        asked.append({"bundle": bundle, **options})
        return DiscPainter().as_generator()

    monkeypatch.setattr(module.Generator, "load", load)
    return asked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder that holds one good run."""
    write_xa(tmp_path / "in" / "run")
    return tmp_path / "in"


# --- good input -------------------------------------------------------------------------------------------


def test_folder_is_converted_and_the_paths_are_printed(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    result = run("convert", source, "-o", tmp_path / "out", "--preview")

    assert result.exit_code == 0
    printed = [Path(line) for line in result.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [path.suffix for path in printed] == [".dcm", ".png"]
    assert all(path.is_file() for path in printed)
    assert verify_file(printed[0]) == []
    assert "numpy-fp32 on cpu; 1 converted, 0 skipped" in result.stderr


def test_options_reach_the_generator(tmp_path: Path, source: Path, painted: list[dict[str, object]]) -> None:
    run("convert", source, "-o", tmp_path / "a")
    run("convert", source, "-o", tmp_path / "b", "--bundle", "mine", "--device", "cpu", "--engine", "torch")

    assert painted == [
        {"bundle": DEFAULT_BUNDLE, "device": "auto", "engine": "auto"},
        {"bundle": "mine", "device": "cpu", "engine": "torch"},
    ]


def test_json_on_stdout_is_the_report_file(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    result = run("convert", source, "-o", tmp_path / "out", "--json")

    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "report.json").read_text())


def test_bar_is_shown_on_a_terminal_and_stdout_stays_clean(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = run("convert", source, "-o", tmp_path / "a", "--json")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes every stream for a terminal
    shown = run("convert", source, "-o", tmp_path / "b", "--json")

    assert "cine 1 of 1" not in quiet.stderr
    assert "cine 1 of 1: generate" in shown.stderr
    assert json.loads(shown.stdout)["outputs"][0]["frames"] == 4


def test_bars_count_the_cines_of_one_call(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_xa(source / "second", SeriesInstanceUID=uid("another series"), SOPInstanceUID=uid("another run"))
    monkeypatch.setenv("FORCE_COLOR", "1")

    shown = run("convert", source, "-o", tmp_path / "out", "--json")

    assert "cine 1 of 2: measure" in shown.stderr
    assert "cine 2 of 2: generate" in shown.stderr


def test_output_goes_to_derived_by_default(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("convert", "in").exit_code == 0
    assert (tmp_path / "derived" / "report.json").is_file()


def test_options_are_read_from_the_environment(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASGAN_CONVERT_OUT", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("CASGAN_CONVERT_JSON", "1")

    assert json.loads(run("convert", source).stdout)["outputs"]
    assert (tmp_path / "elsewhere" / "report.json").is_file()


def test_second_run_says_that_it_kept_the_object(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    run("convert", source, "-o", tmp_path / "out")

    result = run("convert", source, "-o", tmp_path / "out")

    assert result.exit_code == 0
    assert "kept" in result.stdout


def test_banner_can_be_left_out_and_the_object_says_so(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    result = run("convert", source, "-o", tmp_path / "out", "--no-banner", "--json")

    path = Path(json.loads(result.stdout)["outputs"][0]["objects"][0]["path"])
    assert "no banner burned in" in dcmread(path).DerivationDescription


def test_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path, source: Path) -> None:
    write_xa(
        source / "dsa", SOPInstanceUID=uid("2"), SeriesInstanceUID=uid("s2"), RecommendedViewingMode="SUB"
    )

    result = run("convert", source, "-o", tmp_path / "out", "--dry-run")

    assert result.exit_code == 4
    assert f"would convert  {uid('series')}  4 frames, 80×64, 66.667 ms/frame" in result.stdout
    assert f"skipped {uid('s2')}: RecommendedViewingMode (0028,1090)" in result.stderr
    assert not (tmp_path / "out").exists()


def test_dry_run_as_json(tmp_path: Path, source: Path) -> None:
    told = json.loads(run("convert", source, "-o", tmp_path / "out", "--dry-run", "--json").stdout)

    assert [cine["source_instances"] for cine in told["would_convert"]] == [[uid("instance")]]
    assert told["skipped"] == []


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        ({"RescaleSlope": "1e308", "RescaleIntercept": "1e308"}, [], "display values are not finite"),
        ({"BitsStored": 12}, ["--bits", "12"], "one object holds"),
    ],
)
def test_dry_run_refuses_what_the_conversion_refuses(
    tmp_path: Path,
    painted: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    header: dict[str, Any],
    options: list[str],
    reason: str,
) -> None:
    monkeypatch.setattr("casgan_dicom.conversion.plan.MAX_BYTES", 4 * 64 * 80)
    source = write_xa(tmp_path / "in" / "a", moving_frames(4, bits=12), **({"BitsStored": 12} | header))

    dry = run("convert", source, "-o", tmp_path / "out", "--dry-run", *options)
    real = run("convert", source, "-o", tmp_path / "out", *options)

    assert dry.exit_code == real.exit_code == 3
    assert reason in dry.stderr
    assert reason in real.stderr


def test_dry_run_says_what_is_odd_about_a_cine(tmp_path: Path) -> None:
    write_xa(tmp_path / "in" / "run", BodyPartExamined="LEG")

    result = run("convert", tmp_path / "in", "--dry-run")
    told = json.loads(run("convert", tmp_path / "in", "--dry-run", "--json").stdout)

    assert f"{uid('series')}: BodyPartExamined (0018,0015) is 'LEG'" in result.stderr
    assert "BodyPartExamined" in told["would_convert"][0]["warnings"][0]


def test_the_default_bundle_is_the_one_that_the_help_names() -> None:
    assert f"[default: {DEFAULT_BUNDLE};" in run("convert", "-h").stdout


# --- bad input --------------------------------------------------------------------------------------------


def test_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    result = run("convert", "empty")

    assert result.exit_code == 3
    first, second = result.stderr.splitlines()
    assert first == "casgan-dicom: empty: no DICOM files"
    assert second.startswith("  try: pass the folder that holds the")
    assert result.stdout == ""
    assert not (tmp_path / "derived").exists()


def test_a_damaged_file_is_named_and_is_no_success(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    """The rest of a run must not pass for the whole of it."""
    whole = (source / "run").read_bytes()
    (source / "cut").write_bytes(whole[:200])

    result = run("convert", source, "-o", tmp_path / "out", "--json")

    assert result.exit_code == 4
    (skipped,) = json.loads(result.stdout)["skipped"]
    assert skipped["path"] == str(source / "cut")
    assert f"skipped {source / 'cut'}: " in run("convert", source, "-o", tmp_path / "out").stderr


def test_sigterm_leaves_nothing_half_written(tmp_path: Path, source: Path) -> None:
    """Sent while the file is written, from within: the temporary name is there at that moment."""
    code = """
import os, signal, sys
from casgan_dicom.conversion import output_folder as folder
from casgan_dicom.cli import main
from casgan_dicom.model import generator as module
from tests.support.painter import DiscPainter

def stop(path):
    assert path.is_file()
    os.kill(os.getpid(), signal.SIGTERM)
    return []

folder.verify_file = stop
module.Generator.load = lambda *_, **__: DiscPainter().as_generator()
sys.argv = ["casgan-dicom", "convert", *sys.argv[1:]]
main()
"""
    arguments = [str(source), "-o", str(tmp_path / "out")]
    root = Path(__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 143, done.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_folder_without_dicom_counts_what_it_saw(tmp_path: Path) -> None:
    for name in ("a.txt", "b.jpg"):
        tmp_path.joinpath(name).write_text("not DICOM")

    result = run("convert", tmp_path, "-o", tmp_path / "out")

    assert result.exit_code == 3
    assert "no DICOM files (2 × no DICOM file)" in result.stderr


def test_path_that_does_not_exist(tmp_path: Path) -> None:
    result = run("convert", tmp_path / "nowhere")

    assert result.exit_code == 3
    assert "no such file or folder" in result.stderr


def test_call_without_series_is_wrong_usage() -> None:
    result = run("convert")

    assert result.exit_code == 2
    assert "SERIES" in result.stderr


def xa_without_pixels(path: Path) -> None:
    write_header(path)


def truncated(path: Path) -> None:
    write_xa(path)
    path.write_bytes(path.read_bytes()[:-3000])


def fewer_frames_than_promised(path: Path) -> None:
    write_xa(path, moving_frames(4), NumberOfFrames=6)


def colour_ultrasound(path: Path) -> None:
    frames = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    write_xa(path, frames, SOPClassUID=UltrasoundMultiFrameImageStorage, Modality="US")


def ct_slice(path: Path) -> None:
    write_xa(path, moving_frames(1), SOPClassUID=CTImageStorage, Modality="CT")


def no_frames(path: Path) -> None:
    write_xa(path, NumberOfFrames=0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (xa_without_pixels, "PixelData (7FE0,0010) is absent"),
        (truncated, "PixelData (7FE0,0010)"),
        (fewer_frames_than_promised, "NumberOfFrames (0028,0008)"),
        (colour_ultrasound, "SamplesPerPixel (0028,0002) is 3"),
        (ct_slice, "Modality (0008,0060) is 'CT'"),
        (no_frames, "NumberOfFrames (0028,0008)"),
    ],
)
def test_unusable_series_is_skipped_with_the_reason(
    tmp_path: Path, painted: list[dict[str, object]], make: object, reason: str
) -> None:
    assert callable(make)
    make(tmp_path / "in" / "bad")

    result = run("convert", tmp_path / "in", "-o", tmp_path / "out", "--force")

    assert result.exit_code == 3
    assert f"skipped {uid('series')}" in result.stderr
    assert reason in result.stderr
    assert list(tmp_path.rglob("*.dcm")) == []


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"ContrastBolusAgent": "Iohexol"}, "ContrastBolusAgent (0018,0010) is not empty"),
        ({"RecommendedViewingMode": "SUB"}, "RecommendedViewingMode (0028,1090) is 'SUB'"),
    ],
)
def test_contrast_and_dsa_are_skipped_and_the_way_out_is_shown(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], header: dict[str, object], reason: str
) -> None:
    other = {"SOPInstanceUID": uid("2"), "SeriesInstanceUID": uid("s2")}
    write_xa(source / "contrast", None, **other, **header)

    refused = run("convert", source, "-o", tmp_path / "out")
    alone = run("convert", source / "contrast", "-o", tmp_path / "out")
    forced = run("convert", source, "-o", tmp_path / "out", "--force")

    assert (refused.exit_code, alone.exit_code, forced.exit_code) == (4, 3, 0)
    for result in (refused, alone):
        assert f"skipped {uid('s2')}: {reason}" in result.stderr
        assert "try: --force" in result.stderr


def test_unknown_bundle(tmp_path: Path, source: Path) -> None:
    result = run("convert", source, "-o", tmp_path / "out", "--bundle", "no-such-bundle")

    assert result.exit_code == 5
    assert "no-such-bundle" in result.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_engine_is_wrong_usage(tmp_path: Path, source: Path) -> None:
    result = run("convert", source, "-o", tmp_path / "out", "--engine", "abacus")

    assert result.exit_code == 2
    assert "abacus" in result.stderr


def test_output_that_cannot_be_written(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    (tmp_path / "file").write_text("in the way")

    result = run("convert", source, "-o", tmp_path / "file" / "out")

    assert result.exit_code == 3
    assert "cannot be written" in result.stderr
    assert "try: pass another folder with --out" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission(
    tmp_path: Path, source: Path, painted: list[dict[str, object]]
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)

    result = run("convert", source, "-o", tmp_path / "locked" / "out")

    assert result.exit_code == 3
    assert "cannot be written (Permission denied)" in result.stderr


def test_output_into_the_input_is_refused(source: Path) -> None:
    result = run("convert", source, "-o", source)

    assert result.exit_code == 3
    assert "holds the input" in result.stderr


def test_messages_hold_no_patient_data(tmp_path: Path, painted: list[dict[str, object]]) -> None:
    write_xa(
        tmp_path / "in" / "a",
        PatientName="Very^Secret",
        PatientID="SECRET-7",
        ContrastBolusAgent="secret brew",
    )

    for extra in ([], ["--force"]):
        result = run("convert", tmp_path / "in", "-o", tmp_path / "out", *extra)
        assert "secret" not in (result.stdout + result.stderr).lower()


# --- the command itself -----------------------------------------------------------------------------------


def test_help_names_the_exit_codes_and_the_environment() -> None:
    text = run("convert", "-h").stdout

    for code in ("0  all converted", "2  wrong", "3  nothing", "4  some", "5  config"):
        assert code in text
    assert "CASGAN_CONVERT_OUT" in text


def test_version_and_sub_commands() -> None:
    assert __version__ in run("--version").stdout
    text = run("-h").stdout
    assert "convert" in text
    assert "verify" in text


def test_unknown_sub_command_is_wrong_usage() -> None:
    assert run("konvert").exit_code == 2


def in_new_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", ["-h", "--version"])
def test_help_imports_neither_torch_nor_simpleitk(arguments: str) -> None:
    code = (
        "import sys; from casgan_dicom.cli import cli\n"
        f"cli({shlex.split(arguments)!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'SimpleITK', 'pydicom', 'highdicom', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    result = in_new_process(code)

    assert result.returncode == 0, result.stderr


def test_mistake_in_the_paths_does_not_wait_for_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from casgan_dicom.cli import cli\n"
        f"cli(['convert', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )

    result = in_new_process(code)

    assert "no DICOM files" in result.stderr
    assert "AssertionError" not in result.stderr


def test_malformed_headers_print_no_warnings_of_libraries(tmp_path: Path) -> None:
    """Those quote what they found, which may be a patient's."""
    path = write_xa(tmp_path / "in" / "a", PatientBirthDate="19500101", ContrastBolusAgent="x")
    path.write_bytes(path.read_bytes().replace(b"19500101", b"19Secret"))
    arguments = ["casgan-dicom", "convert", str(path)]
    code = f"import sys; sys.argv = {arguments}\nfrom casgan_dicom.cli import main\nmain()"

    result = in_new_process(code)

    assert result.returncode == 3
    assert "Secret" not in result.stdout + result.stderr


# --- with real networks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of tiny networks that have learned nothing: everything but the picture is as it will be."""
    folder = tmp_path_factory.mktemp("untrained")
    settings = load_settings("casgan", "smoke", ())
    torch.manual_seed(7)
    nets = method_class(settings.method).build_generators(settings)
    save_bundle(
        folder,
        settings,
        nets.state_dict(),
        UNet(settings.segmentor.base).state_dict(),
        data="none: untrained",
    )
    return folder


@pytest.mark.e2e
def test_networks_convert_a_run_through_every_check(tmp_path: Path, untrained: Path) -> None:
    source = write_xa(tmp_path / "in" / "run", moving_frames(5, 128, 96))

    result = run(
        "convert", source, "-o", tmp_path / "out", "--bundle", untrained, "--engine", "torch", "--json"
    )

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    (output,) = told["outputs"]
    path = Path(output["objects"][0]["path"])
    assert dciodvfy(path) == []
    assert dcentvfy(source, path) == []
    assert verify_file(path) == []
    assert told["model"]["engine"].startswith("torch")
    assert told["model"]["weights_sha256"] in dcmread(path).DerivationDescription


@pytest.mark.e2e
def test_same_networks_make_the_same_object_again(tmp_path: Path, untrained: Path) -> None:
    source = write_xa(tmp_path / "in" / "run", moving_frames(5, 128, 96))
    arguments = ("convert", source, "-o", tmp_path / "out", "--bundle", untrained, "--engine", "torch")

    codes = [run(*arguments).exit_code for _ in range(2)]

    assert codes == [0, 0]
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


@pytest.mark.e2e
def test_bundle_with_changed_weights_is_refused(tmp_path: Path, source: Path, untrained: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(untrained, changed)
    weights = bytearray((changed / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (changed / "model.safetensors").write_bytes(weights)

    result = run("convert", source, "-o", tmp_path / "out", "--bundle", changed)

    assert result.exit_code == 5
    assert "model.safetensors has SHA-256" in result.stderr
    assert not (tmp_path / "out").exists()


# --- with the bundle that is shipped ----------------------------------------------------------------------

SAMPLES = Path(__file__).resolve().parents[2] / "sample_series"
needs_bundle = pytest.mark.skipif(
    not any(WEIGHTS.glob("*/config.json")), reason="no bundle is in casgan_dicom/model/weights"
)


@pytest.fixture(scope="module")
def shipped() -> Callable[..., module.Generator]:
    """`Generator.load`, which loads the same only once."""
    return cache(module.Generator.load)


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch, shipped: Callable[..., module.Generator]) -> None:
    """Let the command use what another test had it load."""
    monkeypatch.setattr(module.Generator, "load", shipped)


@needs_bundle
@pytest.mark.e2e
@pytest.mark.usefixtures("loaded_once")
@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("form", ["multi-frame", "single-frame"])
def test_shipped_bundle_converts_the_sample_series(tmp_path: Path, form: str, engine: str) -> None:
    source = SAMPLES / form

    result = run("convert", source, "-o", tmp_path / "out", "--engine", engine, "--preview", "--json")

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    (output,) = told["outputs"]
    path = Path(output["objects"][0]["path"])
    assert dciodvfy(path) == []
    assert dcentvfy(*(file for file in source.rglob("*") if file.is_file()), path) == []
    assert verify_file(path) == []
    assert told["model"]["weights_sha256"] in dcmread(path).DerivationDescription
    assert Path(output["preview"]).stat().st_size > 10_000


@needs_bundle
@pytest.mark.e2e
@pytest.mark.parametrize("bundle", ["atlas", "casgan"])
def test_shipped_bundle_leaves_the_input_where_its_attention_is_nothing(tmp_path: Path, bundle: str) -> None:
    seen: list[np.ndarray] = []

    class Watched(module.Generator):
        def __call__(self, *given: object, **named: object) -> module.Synthesis:
            made = super().__call__(*given, **named)  # type: ignore[arg-type]
            assert made.attention is not None
            seen.append(made.attention)
            return made

    (cine,) = find_series([SAMPLES / "multi-frame"]).cines
    generator = Watched.load(bundle, engine="torch")
    options = ConvertOptions(banner=False)

    report = convert_series([SAMPLES / "multi-frame"], lambda: generator, options, tmp_path / "out")
    (output,) = report.outputs

    mapping = DisplayMapping.from_dataset(cine.header)
    shown = np.stack([mapping.apply(frame) for frame in iter_frames(cine)])
    nothing = np.concatenate(seen) < 1 / 512
    assert nothing.any()  # otherwise this test says nothing
    np.testing.assert_array_equal(pixel_array(output.path)[nothing], to_stored(shown)[nothing])
    assert output.untouched_share >= nothing.mean()
    sys.stdout.write(
        f"attention below 1/512: {nothing.mean():.1%}, pixels untouched: {output.untouched_share:.1%}\n"
    )


@needs_bundle
@pytest.mark.e2e
@pytest.mark.usefixtures("loaded_once")
def test_real_folder_is_converted_or_skipped_with_reasons(tmp_path: Path, real_xa: Path) -> None:
    cine = real_xa / "XA_RCA_96f_jpegbaseline.dcm"
    if not cine.exists():
        pytest.skip("the real cine is not among the test data")

    result = run("convert", real_xa, "-o", tmp_path / "out", "--json")

    assert result.exit_code in (0, 4), result.stderr
    told = json.loads(result.stdout)
    found = [output for output in told["outputs"] if output["frames"] == 96]
    assert len(found) == 1
    ds = dcmread(found[0]["objects"][0]["path"])
    assert ds.SOPClassUID != XRayAngiographicImageStorage
    assert (ds.NumberOfFrames, ds.FrameTime, ds.LossyImageCompression) == (96, 33, "01")
    for output in told["outputs"]:
        assert of_our_making(dciodvfy(Path(output["objects"][0]["path"]))) == []
    assert all(skipped["reasons"] for skipped in told["skipped"])


# --- drawing by plan --------------------------------------------------------------------------------------


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Planner:
    """Let a generator that draws by plan stand in for the shipped bundle."""
    planner = Planner()
    monkeypatch.setattr(module.Generator, "load", lambda *_, **__: PlanPainter(planner).as_generator())
    return planner


def test_artery_and_view_reach_the_plan_and_what_was_drawn_is_told(
    tmp_path: Path, source: Path, planner: Planner
) -> None:
    words = ["--artery", "left", "--view", "LAO45 CAU30", "--injection", "0.5,2"]
    result = run("convert", source, "-o", tmp_path / "out", *words)

    assert result.exit_code == 0
    ((_, _, context),) = planner.told
    assert (context.artery, context.angles_deg, context.angles_given) == ("LCA", (45, -30), True)
    assert context.injection_s == (0.5, 2)
    assert f"{uid('series')}: Tree 17 of the library, left artery" in result.stderr
    assert "plausible, not the patient's" in result.stderr


@pytest.mark.parametrize("words", [["--view", "-30,20"], ["--view=-30,20"], ["--view", "RAO30 CRA20"]])
def test_a_view_may_begin_with_a_minus(
    tmp_path: Path, source: Path, planner: Planner, words: list[str]
) -> None:
    run("convert", source, "-o", tmp_path / "out", *words)
    assert planner.told[0][2].angles_deg == (-30, 20)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--view", "upwards"], "view is 'upwards', need auto, words as in 'LAO30 CRA20', or two angles"),
        (["--injection", "soon"], "injection is 'soon', need none, or seconds as in 0.5 or 0.5,2"),
        (["--artery", "middle"], "'middle' is not one of 'auto', 'left', 'right'"),
    ],
)
def test_a_view_or_an_artery_that_is_none_is_wrong_usage(
    tmp_path: Path, source: Path, painted: list[dict[str, object]], words: list[str], told: str
) -> None:
    result = run("convert", source, "-o", tmp_path / "out", *words)

    assert (result.exit_code, painted) == (2, [])
    assert told in result.stderr


def test_a_refused_plan_is_told_once(tmp_path: Path, source: Path, planner: Planner) -> None:
    planner.refused = "no heart is seen"
    result = run("convert", source, "-o", tmp_path / "out")
    assert result.stderr.lower().count("nothing was drawn") == 1
