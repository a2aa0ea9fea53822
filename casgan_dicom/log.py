"""Structured logs on the standard library's logging: one event a line, and no patient data.

    log = get_logger("worker").bind(job=job_id)
    log.info("series converted", series_uid=uid, frames=62, seconds=3.1)

The event is a constant sentence, the facts are fields. `configure` is called once, first thing in a process:
it sends everything to one stream, as JSON lines or, on a terminal, as short lines for people.

What could quote a header value never gets that far, because it may be a patient's:

* Fields are text, numbers, true or false, None, paths and lists of these. A value from a DICOM header (other
  than a UID) is refused with TypeError, whatever the level: that is a fault of the caller.
* Of an exception its class, its place in the code and its error code are logged; its message only if it is a
  CasganError, which is written to hold none. The same goes for exceptions that nobody caught.
* pynetdicom, pydicom, highdicom and warnings are silenced. Of the other libraries, warnings and errors are
  told without their text, which may quote an exception: place, function and exception only.

Not covered: ``multiprocessing`` itself prints the exception that ends a child, so the function that a child
runs has to catch what it can raise.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from casgan_dicom.errors import CasganError
from casgan_dicom.quoting import printable

Scalar = str | int | float | bool | Path | None
Field = Scalar | Sequence[Scalar]
"""What the value of a field may be."""
Style = Literal["auto", "json", "text"]
"""``auto``: text on a terminal, JSON elsewhere, so under systemd and in containers."""

_Plain = str | int | float | bool | list[Any] | None

_ROOT = "casgan_dicom"
_PACKAGE = Path(__file__).parent
_FACTS = "casgan_facts"
"""Attribute of a log record that holds the fields; only ours have it."""
_RESERVED = frozenset({"time", "level", "event", "logger", "pid"})
_SILENT = ("pydicom", "highdicom", "pynetdicom", "py.warnings", "python_multipart", "uvicorn")
"""Loggers whose messages quote header values, or what peers send."""
_STUBBORN = ("dbos",)
"""Loggers that set up a handler of their own, and their level, unless they have a handler already."""
_COLOURS: Mapping[int, str] = {logging.WARNING: "33", logging.ERROR: "31"}
_DATABASE_CODES: Mapping[str, str] = {"sqlite3": "sqlite_errorname", "psycopg": "sqlstate"}
"""What holds the code of an error, by the package that raises it."""
_BARE = re.compile(r"[\w.:/+@~-]+", re.ASCII)
"""Texts that need no quotes."""


def get_logger(name: str) -> Log:
    """Give the log of a module or of a role, by its name."""
    inside = name == _ROOT or name.startswith(f"{_ROOT}.")
    return Log(logging.getLogger(name if inside else f"{_ROOT}.{name}"))


@dataclass(frozen=True)
class Log:
    """Where a module tells what happens."""

    logger: logging.Logger
    """The logger of the standard library behind it."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Facts on every line."""

    def bind(self, **fields: Field) -> Log:
        """Give a log whose lines also carry these facts, such as the job they belong to."""
        return Log(self.logger, {**self.fields, **_plain_fields(fields)})

    def debug(self, event: str, /, **fields: Field) -> None:
        """Tell what only helps to find a fault."""
        self._tell(logging.DEBUG, event, _plain_fields(fields))

    def info(self, event: str, /, **fields: Field) -> None:
        """Tell what went as it should."""
        self._tell(logging.INFO, event, _plain_fields(fields))

    def warning(self, event: str, /, **fields: Field) -> None:
        """Tell what somebody should look at some day."""
        self._tell(logging.WARNING, event, _plain_fields(fields))

    def error(self, event: str, /, **fields: Field) -> None:
        """Tell what somebody should look at now."""
        self._tell(logging.ERROR, event, _plain_fields(fields))

    def exception(self, event: str, /, error: BaseException, **fields: Field) -> None:
        """Tell, as an error, what an exception prevented; of the exception what `error_facts` says."""
        self._tell(logging.ERROR, event, {**_plain_fields(fields), **error_facts(error)})

    def _tell(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if self.logger.isEnabledFor(level):
            self.logger.log(level, event, extra={_FACTS: {**self.fields, **fields}})


def error_facts(error: BaseException) -> dict[str, str]:
    """Say of an exception what cannot quote a header value.

    Returns
    -------
    dict
        ``error``, its class; ``code``, such as ENOSPC, where it has one, or that which it was raised from;
        ``message``, if it is a CasganError; ``place``, file and line of the innermost frame of this package,
        or of any where none is ours;
        ``cause``, the class of the exception behind it.
    """
    facts = {"error": _class_of(error), "place": _place_of(error)}
    if code := _code_of(error) or _code_of(error.__cause__):
        facts["code"] = code
    if isinstance(error, CasganError):
        facts["message"] = error.message
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        facts["cause"] = _class_of(cause)
    return facts


def configure(stream: TextIO | None = None, style: Style = "auto", *, level: int = logging.INFO) -> None:
    """Send the log of this process to a stream; a second call replaces the first.

    Parameters
    ----------
    stream
        Where lines go, one ``write`` each; None for stderr. Processes may share a pipe: lines up to its
        atomic length (4096 bytes on Linux) stay whole.
    style
        ``json``, ``text``, or ``auto`` for text on a terminal and JSON elsewhere.
    level
        Least level of our own events. Those of libraries start at WARNING.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    colour = terminal and "NO_COLOR" not in os.environ
    as_json = style == "json" or (style == "auto" and not terminal)
    handler = _LineHandler(stream)
    handler.setFormatter(_JsonLines() if as_json else _TextLines(colour=colour))
    handler.addFilter(_may_be_told)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _LineHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.getLogger(_ROOT).setLevel(level)
    for name in _SILENT:
        _cut_off(logging.getLogger(name), logging.NullHandler(), logging.CRITICAL + 1)
    for name in _STUBBORN:
        _cut_off(logging.getLogger(name), handler, logging.WARNING)
    logging.captureWarnings(capture=True)
    _replace_hooks()


def _cut_off(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    """Leave a logger one handler, and no way up: libraries reset the level alone."""
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def _may_be_told(record: logging.LogRecord) -> bool:
    return hasattr(record, _FACTS) or record.levelno >= logging.WARNING


def _replace_hooks() -> None:
    """Exceptions that nobody catches are told like others, not printed with their text."""
    log = get_logger(_ROOT)

    def process(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.exception("process ended by an exception", error=error.with_traceback(trace))

    def thread(hook: threading.ExceptHookArgs) -> None:
        if hook.exc_value is not None and not isinstance(hook.exc_value, SystemExit):
            log.exception("thread ended by an exception", error=hook.exc_value)

    def unraisable(hook: sys.UnraisableHookArgs) -> None:
        if hook.exc_value is not None:
            log.exception("exception that nothing could catch", error=hook.exc_value)

    sys.excepthook = process
    threading.excepthook = thread
    sys.unraisablehook = unraisable


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes to the stream, and never prints about itself: that would quote the record."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name of the base
        """Drop the line: where the log itself is broken, there is nowhere to say so."""


class _Lines(logging.Formatter):
    """What both styles share."""

    @staticmethod
    def source(record: logging.LogRecord) -> str:
        """Name of the logger, of ours without the package."""
        return record.name.removeprefix(f"{_ROOT}.")

    @staticmethod
    def event_and_facts(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
        """Event and fields of one of our records; of a library's, what cannot quote anything."""
        facts: dict[str, Any] | None = getattr(record, _FACTS, None)
        if facts is not None:
            return str(record.msg), facts
        facts = {"place": _short(record.pathname, record.lineno), "function": record.funcName}
        if record.exc_info and record.exc_info[1] is not None:
            told = error_facts(record.exc_info[1])
            facts |= {**told, "place": facts["place"], "raised_at": told["place"]}
        return "message of a library", facts


class _JsonLines(_Lines):
    """One JSON object a line, ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, event, logger, process, fields."""
        event, facts = self.event_and_facts(record)
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment.replace("+00:00", "Z"), "level": record.levelname.lower(), "event": event}
        return json.dumps({**line, "logger": self.source(record), "pid": record.process, **facts})


class _TextLines(_Lines):
    """Lines for a person at a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Local time, level, logger, event, fields."""
        event, facts = self.event_and_facts(record)
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        level = f"{record.levelname.lower():<7}"
        if self.colour and (code := _COLOURS.get(record.levelno)):
            level = f"\x1b[{code}m{level}\x1b[0m"
        told = "".join(f" {name}={_quoted(value)}" for name, value in facts.items())
        return f"{clock} {level} {self.source(record)}: {printable(event)}{told}"


def _quoted(value: object) -> str:
    """A value in one line: as it is if it is plain, else as JSON."""
    return value if isinstance(value, str) and _BARE.fullmatch(value) else json.dumps(value)


def _plain_fields(fields: Mapping[str, Field]) -> dict[str, _Plain]:
    """The fields as JSON types; raises TypeError for a name or a value that may not be."""
    for name in fields.keys() & _RESERVED:
        raise TypeError(f"log field '{name}' has the name of a part of every line")
    return {name: _plain(name, value) for name, value in fields.items()}


def _plain(name: str, value: object) -> _Plain:
    if isinstance(value, list | tuple):
        return [_plain(name, part) for part in value]
    module = type(value).__module__
    if not module.startswith("pydicom.") or module == "pydicom.uid":
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str | Path):
            return printable(str(value))
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if abs(value) < float("inf") else str(float(value))
    raise TypeError(f"log field '{name}' is a {module}.{type(value).__qualname__}, want text or a number")


def _class_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _code_of(error: BaseException | None) -> str:
    """Name of the error in the system or a database, a constant in any case; empty if it has none."""
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return errno.errorcode.get(error.errno, str(error.errno))
    name = _DATABASE_CODES.get(type(error).__module__.partition(".")[0])
    return str(getattr(error, name) or "") if name and hasattr(error, name) else ""


def _place_of(error: BaseException) -> str:
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [place for place in frames if Path(place[0]).is_relative_to(_PACKAGE)]
    innermost = (ours or frames or [("", 0)])[-1]
    return _short(*innermost)


def _short(filename: str, line: int) -> str:
    """File and line, from the package or with the last folder; empty for no file."""
    path = Path(filename)
    inside = path.is_relative_to(_PACKAGE)
    shown = path.relative_to(_PACKAGE.parent) if inside else Path(*path.parts[-2:])
    return f"{shown.as_posix()}:{line}" if filename else ""
