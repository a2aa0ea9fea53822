"""What `import casgan_dicom` gives: every name of it, when it is asked for, and paths in every form."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

import casgan_dicom
from casgan_dicom.conversion.report import ConvertReport
from tests.model.bundles import write_bundle
from tests.support.derived import cine_of
from tests.support.factories import moving_frames, write_xa
from tests.support.honest import write_cine

FUNCTIONS = {"convert", "inspect", "simulate", "train", "verify"}
ERRORS = [name for name in casgan_dicom.__all__ if name.endswith("Error")]
CLASSES = [name for name in casgan_dicom.__all__ if name not in FUNCTIONS | {"__version__"}]


def test_the_names_are_sorted_and_every_one_is_there() -> None:
    assert list(casgan_dicom.__all__) == sorted(set(casgan_dicom.__all__))
    for name in casgan_dicom.__all__:
        assert getattr(casgan_dicom, name) is not None
        assert name in dir(casgan_dicom)
    assert {name for name in FUNCTIONS if callable(getattr(casgan_dicom, name))} == FUNCTIONS
    assert all(isinstance(getattr(casgan_dicom, name), type) for name in CLASSES)


def test_what_is_shown_of_the_package_is_its_face() -> None:
    """In a process that has loaded the rooms, too: their names are no part of it."""
    assert {name for name in dir(casgan_dicom) if not name.startswith("__")} | {"__version__"} == set(
        casgan_dicom.__all__
    )


def test_type_checkers_see_the_names_that_are_fetched() -> None:
    """The imports that only they read, read here: each from the module that defines the name."""
    tree = ast.parse(Path(casgan_dicom.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("casgan_dicom.")
        for alias in node.names
    }

    assert set(seen) == set(casgan_dicom.__all__) - {"__version__"}
    assert seen == {name: getattr(casgan_dicom, name).__module__ for name in seen}


def test_an_unknown_name_is_an_attribute_error_as_of_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'casgan_dicom' has no attribute 'covnert'"):
        getattr(casgan_dicom, "covnert")  # noqa: B009  # a type checker would refuse the attribute
    with pytest.raises(ImportError, match="cannot import name 'covnert'"):
        exec("from casgan_dicom import covnert")


def test_a_star_import_gives_the_face_and_nothing_else() -> None:
    given: dict[str, object] = {}

    exec("from casgan_dicom import *", given)

    assert set(given) - {"__builtins__"} == set(casgan_dicom.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_pickled_by_the_place_where_it_is_defined(name: str) -> None:
    cls = getattr(casgan_dicom, name)

    assert pickle.loads(pickle.dumps(cls)) is cls
    assert copy.deepcopy(cls) is cls


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_keeps_its_message_and_its_hint_from_process_to_process(name: str) -> None:
    error = getattr(casgan_dicom, name)("what is wrong", hint="what to do")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(again, casgan_dicom.CasganError)
        assert (type(again), again.message, again.hint) == (type(error), "what is wrong", "what to do")


def test_options_and_results_are_the_same_after_a_pickle() -> None:
    finding = casgan_dicom.Finding("readable", "no readable DICOM file")
    frames = casgan_dicom.FrameChoice("2-3")
    options = casgan_dicom.ConvertOptions(frames=frames, compression=casgan_dicom.Compression("rle"))

    for value in (finding, options, casgan_dicom.TrainOptions(("optim.steps=2",)), ConvertReport((), (), ())):
        assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for small frames."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "random", ["data.frame_size=64"])


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return write_xa(tmp_path / "in" / "run", moving_frames(3, 64, 64))


def test_a_folder_is_converted_inspected_and_verified(bundle: Path, series: Path, tmp_path: Path) -> None:
    steps: list[casgan_dicom.Step] = []

    report = casgan_dicom.convert(
        str(series.parent), out=str(tmp_path / "out"), bundle=str(bundle), progress=steps.append
    )

    assert (report.exit_code, report.skipped, len(report.outputs)) == (0, (), 1)
    assert steps[-1].done == steps[-1].frames == 3
    assert report.model is not None
    assert report.model.name == "casgan-smoke"
    assert casgan_dicom.inspect(str(series.parent)).cines[0].converted
    assert casgan_dicom.verify(tmp_path / "out", sources=str(series)) == {report.outputs[0].path: []}


def test_a_generator_serves_several_calls_and_is_where_it_is(
    bundle: Path, series: Path, tmp_path: Path
) -> None:
    generator = casgan_dicom.Generator.load(str(bundle), device="cpu", engine="torch")

    reports = [
        casgan_dicom.convert(
            series, out=tmp_path / name, bundle=generator, options=casgan_dicom.ConvertOptions()
        )
        for name in ("a", "b")
    ]

    first, second = (report.outputs[0].sop_instance_uid for report in reports)
    assert first == second
    assert [report.model.engine for report in reports if report.model] == [generator.engine] * 2
    with pytest.raises(casgan_dicom.ConfigError, match="device is 'cuda', and the generator"):
        casgan_dicom.convert(series, out=tmp_path / "c", bundle=generator, device="cuda")
    assert not (tmp_path / "c").exists()


def test_one_path_or_several_as_text_or_as_paths_are_the_same(series: Path, tmp_path: Path) -> None:
    other = write_xa(
        tmp_path / "other", moving_frames(2, 64, 64), SOPInstanceUID="2.25.7", SeriesInstanceUID="2.25.8"
    )
    one = casgan_dicom.inspect(series)
    both = casgan_dicom.inspect([series, str(other)])

    assert casgan_dicom.inspect(str(series)) == casgan_dicom.inspect([str(series)]) == one
    assert casgan_dicom.inspect(path for path in (series, other)) == both
    assert (len(one.cines), len(both.cines)) == (1, 2)


def test_a_text_is_one_path_and_not_its_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_xa(Path("ab"), moving_frames(2, 64, 64))

    assert len(casgan_dicom.inspect("ab").cines) == 1
    assert casgan_dicom.verify("ab").keys() == {Path("ab")}
    with pytest.raises(casgan_dicom.SeriesError, match="cd: no such file or folder"):
        casgan_dicom.inspect("cd")


@pytest.mark.parametrize(("nothing", "told"), [([], "no file or folder was given"), ("", "an empty text")])
def test_no_path_at_all_is_an_error_and_not_the_current_folder(
    nothing: str | list[str], told: str, tmp_path: Path
) -> None:
    def convert(paths: str | list[str]) -> object:
        return casgan_dicom.convert(paths, out=tmp_path / "out")

    for call in (convert, casgan_dicom.inspect, casgan_dicom.verify):
        with pytest.raises(casgan_dicom.ConfigError, match=told):
            call(nothing)
    assert not (tmp_path / "out").exists()


class OwnPath:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_path_of_another_library_is_one(bundle: Path, series: Path, tmp_path: Path) -> None:
    given: Any = OwnPath(series), OwnPath(bundle), OwnPath(tmp_path / "out")

    assert casgan_dicom.convert(given[0], bundle=given[1], out=given[2]).exit_code == 0
    assert (tmp_path / "out" / "report.json").is_file()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bundle": None}, "bundle is None, want a name, a folder or a Generator"),
        ({"bundle": 3}, "bundle is 3, want a name, a folder or a Generator"),
        ({"options": {}}, "options is {}, want ConvertOptions"),
        ({"out": ""}, "a path is an empty text"),
        ({"out": None}, "a path is None, want a text or a Path"),
    ],
)
def test_a_conversion_of_wrong_arguments_writes_nothing(
    wrong: dict[str, Any], told: str, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    with pytest.raises(casgan_dicom.ConfigError) as caught:
        casgan_dicom.convert(series, **{"out": tmp_path / "here" / "out"} | wrong)

    assert caught.value.message == told
    assert not any((tmp_path / "here").iterdir())


def test_of_a_folder_only_dicom_files_are_verified_and_none_is_an_error(tmp_path: Path) -> None:
    honest = write_cine(cine_of(tmp_path / "in"), tmp_path / "derived.dcm")
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "empty").mkdir()

    assert casgan_dicom.verify([tmp_path / "empty", tmp_path])[honest] == []
    assert tmp_path / "report.json" not in casgan_dicom.verify(tmp_path)
    with pytest.raises(casgan_dicom.OutputError, match="no file to check"):
        casgan_dicom.verify(tmp_path / "empty")
    with pytest.raises(casgan_dicom.SeriesError, match="absent: no such file or folder"):
        casgan_dicom.verify([honest, tmp_path / "absent"])
