"""Settings from file, environment and command line: who wins, and every problem in one message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from casgan_dicom.config import collect, config_error, leaves, read_settings, read_table
from casgan_dicom.errors import ConfigError


@dataclass(frozen=True)
class Wheel:
    """An element of a list of tables."""

    place: str
    inches: int = 26
    pressure: float | None = None


@dataclass(frozen=True)
class Light:
    """A table in a table."""

    on: bool = False
    colours: tuple[str, ...] = ("white",)


@dataclass(frozen=True)
class Frame:
    """A table."""

    size: int = 54
    weight: float = 1.5
    light: Light = Light()


@dataclass(frozen=True)
class Bicycle:
    """The root."""

    name: str = "none"
    shed: Path = Path("shed")
    frame: Frame = field(default_factory=lambda: Frame(size=60))
    wheels: tuple[Wheel, ...] = ()


@dataclass(frozen=True)
class Owned:
    """A root with a required value."""

    owner: str
    age: int = 1


EVERYTHING = """
name = "red"
shed = "/srv/shed"
[frame]
size = 50
weight = 2
light.on = true
light.colours = ["white", "red"]
[[wheels]]
place = "front"
[[wheels]]
place = "rear"
inches = 28
pressure = 4
"""


def written(folder: Path, text: str) -> Path:
    """A TOML file."""
    path = folder / "bicycle.toml"
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(
    path: Path | None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None
) -> list[str]:
    """The problems that reading a bicycle raises."""
    with pytest.raises(ConfigError) as caught:
        read_settings(Bicycle, path, environ or {}, overrides or {}, prefix="BIKE")
    first, *rest = caught.value.message.split("\n  ")
    assert first == f"{len(rest)} settings are wrong:" if rest else True
    return rest or [first]


def test_without_file_variables_and_options_all_values_are_defaults() -> None:
    assert read_settings(Bicycle, None, {}) == Bicycle()


def test_a_file_reads_like_the_dataclasses(tmp_path: Path) -> None:
    bicycle = read_settings(Bicycle, written(tmp_path, EVERYTHING), {})

    assert bicycle == Bicycle(
        name="red",
        shed=Path("/srv/shed"),
        frame=Frame(50, 2.0, Light(True, ("white", "red"))),
        wheels=(Wheel("front"), Wheel("rear", 28, 4.0)),
    )
    assert isinstance(bicycle.frame.weight, float)


def test_a_table_that_is_half_written_keeps_the_rest_of_its_default(tmp_path: Path) -> None:
    """The default of the field, not that of the class."""
    bicycle = read_settings(Bicycle, written(tmp_path, "[frame]\nweight = 3.0"), {})

    assert bicycle.frame == Frame(size=60, weight=3.0)


@pytest.mark.parametrize(
    ("variables", "options", "size"),
    [
        ({}, {}, 50),
        ({"BIKE_FRAME_SIZE": "51"}, {}, 51),
        ({}, {"frame.size": 52}, 52),
        ({"BIKE_FRAME_SIZE": "51"}, {"frame.size": 52}, 52),
        ({"BIKE_FRAME_SIZE": "51"}, {"frame.size": "52"}, 52),
        ({"BIKE_FRAME_SIZE": ""}, {"frame.size": None}, 50),
    ],
)
def test_a_variable_wins_over_the_file_and_an_option_over_both(
    tmp_path: Path, variables: dict[str, str], options: dict[str, object], size: int
) -> None:
    path = written(tmp_path, EVERYTHING)

    assert read_settings(Bicycle, path, variables, options, prefix="BIKE").frame.size == size


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("BIKE_NAME", "007", "name", "007"),
        ("BIKE_SHED", "/srv", "shed", Path("/srv")),
        ("BIKE_FRAME_SIZE", " -3", "frame.size", -3),
        ("BIKE_FRAME_WEIGHT", "2", "frame.weight", 2.0),
        ("BIKE_FRAME_LIGHT_ON", "true", "frame.light.on", True),
        ("BIKE_FRAME_LIGHT_ON", "No", "frame.light.on", False),
        ("BIKE_FRAME_LIGHT_COLOURS", "red, green", "frame.light.colours", ("red", "green")),
    ],
)
def test_a_variable_is_read_in_the_type_of_its_key(variable: str, text: str, key: str, value: object) -> None:
    read = dict(leaves(read_settings(Bicycle, None, {variable: text}, prefix="BIKE")))

    assert read == dict(leaves(Bicycle())) | {key: value}
    assert type(read[key]) is type(value)


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings(Bicycle, None, {}, {"shed": "~/shed"}).shed == tmp_path / "shed"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('frame.size = "50"', "frame.size is '50', want a whole number"),
        ("frame.size = 50.0", "frame.size is 50.0, want a whole number"),
        ("frame.size = true", "frame.size is True, want a whole number"),
        ("frame.weight = true", "frame.weight is True, want a number"),
        ("frame.light.on = 1", "frame.light.on is 1, want true or false"),
        ("name = 5", "name is 5, want text"),
        ("shed = ''", "shed is '', want a path"),
        ("shed = '~nobody-of-this-name/x'", "shed is '~nobody-of-this-name/x', want a path"),
        ('frame.light.colours = "red"', "frame.light.colours is 'red', want a list of texts"),
        ("frame.light.colours = [1]", "frame.light.colours is [1], want a list of texts"),
        ("frame = 5", "frame is 5, want a table"),
        ("[wheels]\nplace = 'front'", "wheels is a table, want a list of tables, [[wheels]]"),
        ("wheels = [1]", "wheels is [1], want a list of tables, [[wheels]]"),
        ("frame.weight = 1" + 400 * "0", "frame.weight is 1" + 58 * "0" + "…, want a number"),
        ("[[wheels]]\nplace = 'front'\n[[wheels]]\ninches = 26", "wheels#2.place is missing, want text"),
        ("frame.sise = 50", "unknown key 'frame.sise' (did you mean 'frame.size'?)"),
        ("naem = 'red'", "unknown key 'naem' (did you mean 'name'?)"),
        (
            "[[wheels]]\nplace = 'front'\ninch = 26",
            "unknown key 'wheels#1.inch' (did you mean 'wheels#1.inches'?)",
        ),
        ("xyz = 1", "unknown key 'xyz' (known: name, shed, frame, wheels)"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_the_file(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, text)
    assert lines_of(path) == [f"{path}: {problem}"]


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("BIKE_FRAME_SIZE", "big", "frame.size is 'big', want a whole number"),
        ("BIKE_FRAME_WEIGHT", "1,5", "frame.weight is '1,5', want a number"),
        ("BIKE_FRAME_LIGHT_ON", "si", "frame.light.on is 'si', want true or false"),
        ("BIKE_WHEELS", "front", "wheels is 'front', want [[wheels]] in the file instead"),
        ("BIKE_FRAME_SISE", "50", "unknown variable (did you mean 'BIKE_FRAME_SIZE'?)"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(variable: str, text: str, problem: str) -> None:
    assert lines_of(None, {variable: text}) == [f"{variable}: {problem}"]


@pytest.mark.parametrize(
    "name", ["BIKE_CONFIG", "BIKE_STATUS_JSON", "BIKE_PORT_104_TCP", "PATH", "BIKE_", "FRAME_SISE"]
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    """Commands have options with the same prefix, and Kubernetes adds variables for every service."""
    assert read_settings(Bicycle, None, {name: "x"}, prefix="BIKE") == Bicycle()


def test_an_empty_variable_is_no_slip_of_the_pen() -> None:
    assert read_settings(Bicycle, None, {"BIKE_FRAME_SISE": ""}, prefix="BIKE") == Bicycle()


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("frame.size", "big", "frame.size is 'big', want a whole number"),
        ("frame.size", 1.5, "frame.size is 1.5, want a whole number"),
        ("frame.sise", 50, "unknown key 'frame.sise' (did you mean 'frame.size'?)"),
        ("wheels", [], "wheels is [], want [[wheels]] in the file instead"),
    ],
)
def test_a_wrong_option_is_told(option: str, value: object, problem: str) -> None:
    assert lines_of(None, {}, {option: value}) == [f"command line: {problem}"]


def test_all_problems_of_all_places_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "name = 5\nframe.sise = 50\n[[wheels]]\ninches = 'x'")

    lines = lines_of(path, {"BIKE_FRAME_WEIGHT": "heavy"}, {"frame.size": "big"})

    assert sorted(lines) == sorted(
        [
            "BIKE_FRAME_WEIGHT: frame.weight is 'heavy', want a number",
            "command line: frame.size is 'big', want a whole number",
            f"{path}: name is 5, want text",
            f"{path}: unknown key 'frame.sise' (did you mean 'frame.size'?)",
            f"{path}: wheels#1.inches is 'x', want a whole number",
            f"{path}: wheels#1.place is missing, want text",
        ]
    )


def test_a_wrong_value_in_the_file_is_told_although_an_option_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "name = 5")
    assert lines_of(path, {}, {"name": "red"}) == [f"{path}: name is 5, want text"]


def test_a_required_value_that_is_missing_is_told_with_its_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(Owned, None, {}, prefix="PET")
    assert caught.value.message == "settings: owner is missing (or PET_OWNER), want text"


def test_a_required_value_may_come_from_a_variable_or_an_option() -> None:
    assert read_settings(Owned, None, {"PET_OWNER": "a"}, prefix="PET") == Owned("a")
    assert read_settings(Owned, None, {}, {"owner": "b"}) == Owned("b")


def test_a_file_that_is_no_toml_is_told_with_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "red"\nshed = \n')
    (line,) = lines_of(path)
    assert re.fullmatch(re.escape(str(path)) + r": .*\(at line 2, column 8\), want TOML", line)


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')

    assert lines_of(tmp_path / "absent.toml") == [
        f"{tmp_path}/absent.toml: cannot be read (No such file or directory), want a TOML file"
    ]
    assert lines_of(tmp_path) == [f"{tmp_path}: cannot be read (Is a directory), want a TOML file"]
    assert lines_of(tmp_path / "latin.toml") == [
        f"{tmp_path}/latin.toml: byte 8 is not UTF-8, want a TOML file"
    ]


def test_a_lost_file_hides_no_wrong_variable_and_invents_no_missing_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(Owned, tmp_path / "absent.toml", {"PET_AGE": "old"}, prefix="PET")

    assert [line.partition(":")[0] for line in caught.value.message.split("\n  ")[1:]] == [
        f"{tmp_path}/absent.toml",
        "PET_AGE",
    ]


def test_a_file_with_the_mark_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bom.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "red"\r\n')

    assert read_settings(Bicycle, path, {}).name == "red"


def test_what_was_read_is_told_with_its_origin_and_its_doubts(tmp_path: Path) -> None:
    path = written(tmp_path, "name = 'red'\nframe = 5\n[[wheels]]\nplace = 1\n[[wheels]]\nplace = 'rear'")

    reading = collect(Bicycle, path, {"BIKE_SHED": "/srv"}, prefix="BIKE")

    assert reading.settings == Bicycle("red", Path("/srv"), wheels=(Wheel(""), Wheel("rear")))
    assert reading.origins == {
        "name": str(path),
        "shed": "BIKE_SHED",
        "wheels": str(path),
        "wheels#2.place": str(path),
    }
    told = [key for key, _ in leaves(reading.settings) if reading.in_doubt(key)]
    assert told == ["frame.size", "frame.weight", "frame.light.on", "frame.light.colours", "wheels#1.place"]


def test_a_value_from_a_higher_place_is_in_no_doubt(tmp_path: Path) -> None:
    reading = collect(Bicycle, written(tmp_path, "name = 5"), {"BIKE_NAME": "red"}, prefix="BIKE")

    assert len(reading.problems) == 1
    assert not reading.in_doubt("name")


def test_with_a_lost_file_everything_it_might_set_is_in_doubt(tmp_path: Path) -> None:
    reading = collect(Bicycle, tmp_path / "absent.toml", {"BIKE_NAME": "red"}, prefix="BIKE")

    assert [key for key, _ in leaves(reading.settings) if not reading.in_doubt(key)] == ["name"]


def test_one_problem_is_a_sentence_and_more_are_a_list() -> None:
    assert config_error(["a"], hint="h").message == "a"
    assert config_error(["a", "b"], hint="h").message == "2 settings are wrong:\n  a\n  b"
    assert config_error(["a", "b"], hint="h").hint == "h"


@dataclass(frozen=True)
class Odd:
    """Holds what no place can give."""

    numbers: tuple[int, ...] = ()


def test_a_type_that_cannot_be_read_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError, match="settings cannot hold"):
        read_settings(Odd, None, {})


@dataclass(frozen=True)
class Gears:
    """A root with the other types."""

    kind: Literal["hub", "chain"] = "hub"
    makers: tuple[Literal["a", "b"], ...] = ()
    ends: tuple[float, float] = (1.0, 2.0)
    ratios: Mapping[str, float] = field(default_factory=dict)


def test_words_pairs_and_tables_of_numbers_are_read() -> None:
    table = {"kind": "chain", "makers": ["b", "a"], "ends": [3, 4.5], "ratios": {"low": 1, "high": 2.5}}

    reading = read_table(Gears, table)

    assert reading.problems == ()
    assert reading.settings == Gears("chain", ("b", "a"), (3.0, 4.5), {"low": 1, "high": 2.5})


def test_variables_reach_words_and_pairs() -> None:
    environ = {"BIKE_KIND": "chain", "BIKE_MAKERS": "a, b", "BIKE_ENDS": "3, 4.5", "BIKE_RATIOS": "1"}

    reading = collect(Gears, None, environ, prefix="BIKE")

    assert reading.settings == Gears("chain", ("a", "b"), (3.0, 4.5))
    assert reading.problems == ("BIKE_RATIOS: ratios is '1', want [ratios] in the file instead",)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"kind": "hubs"}, "gears.kind is 'hubs', want one of hub, chain"),
        ({"makers": ["c"]}, "gears.makers is ['c'], want a list of a, b"),
        ({"ends": [1]}, "gears.ends is [1], want 2 numbers"),
        ({"ratios": 3}, "gears.ratios is 3, want a table of numbers"),
        ({"ratios": {"low": "x"}}, "gears.ratios.low is 'x', want a number"),
        ({"kinds": "hub"}, "unknown key 'gears.kinds' (did you mean 'gears.kind'?)"),
    ],
)
def test_problems_of_one_table_name_the_key_and_no_place(table: Mapping[str, object], told: str) -> None:
    assert read_table(Gears, table, "gears.").problems == (told,)


def test_a_type_that_cannot_be_read_is_our_own_mistake() -> None:
    @dataclass(frozen=True)
    class Odd:
        when: complex = 0j

    with pytest.raises(TypeError, match="settings cannot hold"):
        read_table(Odd, {})
