"""Settings from three places: TOML file < variables of the environment < options of the command line.

A tree of frozen dataclasses says which keys there are. Its field names are the keys of the file, so a file
reads like the dataclasses; nothing here knows what the settings are about.

    [listener]                    CASGAN_NODE_LISTENER_PORT=104            {"listener.port": 104}
    port = 104

Fields are of the types in `setting_types`, tables (a dataclass), lists of tables (a tuple of a dataclass,
``[[peers]]``) and tables of numbers with any keys (a Mapping). Variables and options reach every field
outside the last two; a list is written with commas in a variable. An empty variable counts as not set, and
so does an option that is None. Settings that come from one table alone, as a training run's do, are read by
`read_table`.

Whatever is wrong is said at once, one line each: where, which key, what was found, what was wanted. The
tables of a list are counted from 1: ``peers#2.address`` is in the second ``[[peers]]``.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from casgan_dicom.errors import ConfigError
from casgan_dicom.setting_types import is_number, kind_of, parsed, placeholder, shown, typed, wanted

T = TypeVar("T")

COMMAND_LINE = "command line"
"""What messages call the place where options come from."""

_NOTHING: Mapping[str, object] = MappingProxyType({})
_ABSENT: Any = object()
_NEAR_MISS = 0.85
"""How alike an unknown variable and a known one are, from 0 to 1, to be taken for a slip of the pen. Others
pass: options of commands have variables under the same prefix, and orchestrators add theirs."""


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What was read, before anybody judged whether the values make sense together."""

    settings: T
    """The settings; whatever could not be read has its default or, without one, an empty value."""
    problems: tuple[str, ...]
    """One line for everything that is wrong."""
    origins: Mapping[str, str]
    """Where each value that is no default came from, by its key: the file, a variable or the command line."""
    doubtful: frozenset[str]
    """Keys whose value in `settings` is not what somebody wanted, because what they wrote is wrong."""

    def in_doubt(self, key: str) -> bool:
        """Tell whether `key`, or a table that it is in, is in doubt: then its value says nothing.

        A key that somebody set is itself never in doubt for a table: it was written in the right one.
        """
        if key in self.origins:
            return key in self.doubtful
        return any(key == bad or key.startswith((f"{bad}.", f"{bad}#")) for bad in self.doubtful)


def read_settings(
    cls: type[T],
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = _NOTHING,
    *,
    prefix: str = "CASGAN_NODE",
) -> T:
    """Read settings from a file, the environment and the command line, the later before the earlier.

    Parameters
    ----------
    cls
        The frozen dataclass at the root of the tree.
    path
        A TOML file; None for no file.
    environ
        The environment; ``listener.port`` is the variable ``<prefix>_LISTENER_PORT``.
    overrides
        Values of options by dotted key. A text is read like a variable; None means that it was not given.
    prefix
        What the variables begin with.

    Raises
    ------
    ConfigError
        Anything is wrong; the message has a line for everything that is.
    """
    reading = collect(cls, path, environ, overrides, prefix=prefix)
    if reading.problems:
        raise config_error(reading.problems)
    return reading.settings


def collect(
    cls: type[T],
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] = _NOTHING,
    *,
    prefix: str = "CASGAN_NODE",
) -> Reading[T]:
    """Read like `read_settings`, but hand the problems back, so that a caller can add its own."""
    known = dict(_schema(cls))
    reader = _Reader("settings" if path is None else str(path), _variables(known, prefix), environ, overrides)
    reader.look_for_strangers(known, prefix)
    table: Mapping[str, Any] = {}
    if path is not None:
        try:
            table = _parse(path)
        except ValueError as error:
            reader.problems.append(str(error))
            reader.file_is_lost = True
    settings = reader.table(cls, table, "", _ABSENT)
    return Reading(settings, tuple(reader.problems), reader.origins, frozenset(reader.doubtful))


def read_table(cls: type[T], table: Mapping[str, Any], prefix: str = "") -> Reading[T]:
    """Read settings from one nested table, as TOML or JSON gives it; `prefix` stands before every key.

    Problems name no place: the caller knows where the table is from.
    """
    reader = _Reader("", {}, {}, {})
    settings = reader.table(cls, table, prefix, _ABSENT)
    return Reading(settings, tuple(reader.problems), reader.origins, frozenset(reader.doubtful))


def config_error(problems: Sequence[str], *, hint: str = "") -> ConfigError:
    """Make one error of all problems, a line each."""
    if len(problems) == 1:
        return ConfigError(problems[0], hint=hint)
    lines = "".join(f"\n  {problem}" for problem in problems)
    return ConfigError(f"{len(problems)} settings are wrong:{lines}", hint=hint)


def leaves(settings: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Give the key and the value of every field that is no table, named as in messages."""
    for field in dataclasses.fields(typing.cast(Any, settings)):
        key, value = prefix + field.name, getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{key}.")
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            for number, element in enumerate(value, 1):
                yield from leaves(element, f"{key}#{number}.")
        else:
            yield key, value


@dataclass
class _Reader:
    """One reading under way: what was found so far."""

    file: str
    """What messages call the file; empty where they name no place."""
    variables: Mapping[str, str]
    """Variable of each key that has one."""
    environ: Mapping[str, str]
    """The environment."""
    overrides: Mapping[str, object]
    """Options by key."""
    file_is_lost: bool = False
    """The file could not be read, so nobody knows what it sets."""
    problems: list[str] = dataclasses.field(default_factory=list)
    """One line each."""
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
    """See `Reading`."""
    doubtful: set[str] = dataclasses.field(default_factory=set)
    """See `Reading`."""

    def look_for_strangers(self, known: Mapping[str, object], prefix: str) -> None:
        """Note options and variables that set nothing."""
        for key, value in self.overrides.items():
            if key in known and key not in self.variables:
                self._wrong(COMMAND_LINE, key, value, _in_the_file(key, known[key]))
            elif key not in known:
                self._stranger(COMMAND_LINE, key, known, "")
        for key, hint in known.items():
            name = _variable(prefix, key)
            if key not in self.variables and (text := self.environ.get(name)):
                self._wrong(name, key, text, _in_the_file(key, hint))
        endings = {name.removeprefix(f"{prefix}_"): key for key, name in self.variables.items()}
        for name in sorted(self.environ):
            ending = name.removeprefix(f"{prefix}_")
            if ending == name or ending in endings or not self.environ[name]:
                continue
            if near := difflib.get_close_matches(ending, endings, n=1, cutoff=_NEAR_MISS):
                self.doubtful.add(endings[near[0]])
                self.problems.append(f"{name}: unknown variable (did you mean '{prefix}_{near[0]}'?)")

    def table(self, cls: type, found: Mapping[str, Any], prefix: str, default: object) -> Any:  # noqa: ANN401
        """Build `cls` from one table of the file, and from what variables and options say about its keys.

        Fields that nobody sets come from `default`, an instance of `cls`, if there is one.
        """
        hints = typing.get_type_hints(cls)
        for name in found:
            if name not in hints:
                self._stranger(self.file, prefix + name, hints, prefix)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            key, hint = prefix + field.name, hints[field.name]
            fallback = _default(field) if default is _ABSENT else getattr(default, field.name)
            written = found.get(field.name, _ABSENT)
            if dataclasses.is_dataclass(hint):
                below = {} if written is _ABSENT else self._mapping(written, key)
                values[field.name] = self.table(typing.cast(type, hint), below, f"{key}.", fallback)
            elif element := _element_of(hint):
                values[field.name] = self._array(element, written, key, fallback)
            elif _is_mapping(hint):
                values[field.name] = self._numbers(written, key, fallback)
            else:
                values[field.name] = self._leaf(kind_of(hint), written, key, fallback)
        return cls(**values)

    def _mapping(self, written: object, key: str) -> Mapping[str, Any]:
        if isinstance(written, Mapping):
            return written
        self._wrong(self.file, key, written, "a table")
        return {}

    def _array(self, element: type, written: object, key: str, fallback: object) -> object:
        if written is _ABSENT:
            return self._absent(key, "a list of tables", fallback, ())
        if not isinstance(written, list) or not all(isinstance(row, Mapping) for row in written):
            self._wrong(self.file, key, written, f"a list of tables, [[{key}]]")
            return ()
        self.origins[key] = self.file
        return tuple(
            self.table(element, row, f"{key}#{number}.", _ABSENT) for number, row in enumerate(written, 1)
        )

    def _numbers(self, written: object, key: str, fallback: object) -> object:
        """A table of numbers with any keys."""
        if written is _ABSENT:
            return self._absent(key, "a table of numbers", fallback, {})
        if not isinstance(written, Mapping):
            self._wrong(self.file, key, written, "a table of numbers")
            return {}
        for name, value in written.items():
            if not is_number(value):
                self._wrong(self.file, f"{key}.{name}", value, "a number")
        self.origins[key] = self.file
        return written

    def _leaf(self, kind: object, written: object, key: str, fallback: object) -> object:
        """The value from the highest place that sets it; every place is judged."""
        result, failed = _ABSENT, False
        for origin, raw, convert in self._places(written, key):
            try:
                result = convert(kind, raw)
                self.origins[key] = origin
                self.doubtful.discard(key)  # whatever is wrong with a lower place, this is the value
            except (ValueError, OverflowError, RuntimeError):  # the last one: a path with an unknown ~user
                self._wrong(origin, key, raw, wanted(kind))
                failed = True
        if result is not _ABSENT:
            return result
        if not failed:
            return self._absent(key, wanted(kind), fallback, placeholder(kind))
        return placeholder(kind) if fallback is _ABSENT else fallback

    def _places(
        self, written: object, key: str
    ) -> Iterator[tuple[str, Any, Callable[[object, Any], object]]]:
        """Where a value of `key` is: the name of the place, the raw value, and how to read it."""
        if written is not _ABSENT:
            yield self.file, written, typed
        variable = self.variables.get(key)
        if variable and (text := self.environ.get(variable)):
            yield variable, text, parsed
        if variable and (value := self.overrides.get(key)) is not None:
            yield COMMAND_LINE, value, parsed if isinstance(value, str) else typed

    def _absent(self, key: str, told: str, fallback: object, placeholder: object) -> object:
        """The default of a key that nobody sets; a problem if it has none, unless the file is lost anyway."""
        if self.file_is_lost:
            self.doubtful.add(key)
        elif fallback is _ABSENT:
            self.doubtful.add(key)
            variable = f" (or {self.variables[key]})" if key in self.variables else ""
            self._tell(self.file, f"{key} is missing{variable}, want {told}")
        return placeholder if fallback is _ABSENT else fallback

    def _wrong(self, origin: str, key: str, found: object, told: str) -> None:
        self.doubtful.add(key)
        self._tell(origin, f"{key} is {shown(found)}, want {told}")

    def _stranger(self, origin: str, key: str, known: Collection[str], prefix: str) -> None:
        name = key.removeprefix(prefix)
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            self.doubtful.add(prefix + near[0])
        advice = f"did you mean '{prefix}{near[0]}'?" if near else f"known: {', '.join(known)}"
        self._tell(origin, f"unknown key '{key}' ({advice})")

    def _tell(self, origin: str, problem: str) -> None:
        self.problems.append(f"{origin}: {problem}" if origin else problem)


def _parse(path: Path) -> Mapping[str, Any]:
    """The tables of a TOML file; raises ValueError with the line of the problem."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}), want a TOML file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8, want a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}, want TOML") from error


def _schema(cls: type, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every key outside lists of tables, with the type of its value."""
    for name, hint in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(hint):
            yield from _schema(typing.cast(type, hint), f"{prefix}{name}.")
        else:
            yield prefix + name, hint


def _variables(known: Mapping[str, object], prefix: str) -> Mapping[str, str]:
    return {key: _variable(prefix, key) for key, hint in known.items() if _has_variable(hint)}


def _variable(prefix: str, key: str) -> str:
    return f"{prefix}_{key.upper().replace('.', '_')}"


def _has_variable(hint: object) -> bool:
    return not (_element_of(hint) or _is_mapping(hint))


def _in_the_file(key: str, hint: object) -> str:
    """What is wanted of a key that neither variables nor options reach."""
    return f"[{key}] in the file instead" if _is_mapping(hint) else f"[[{key}]] in the file instead"


def _is_mapping(hint: object) -> bool:
    """Whether a type is a table of numbers with any keys."""
    return typing.get_origin(hint) is Mapping


def _element_of(hint: object) -> type | None:
    """The dataclass of a list of tables; None for any other type."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(arguments[0]):
        return typing.cast(type, arguments[0])
    return None


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    return _ABSENT if field.default_factory is dataclasses.MISSING else field.default_factory()
