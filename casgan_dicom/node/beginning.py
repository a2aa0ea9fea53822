"""A configuration to begin with, of the answers to a few questions."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from casgan_dicom.config import config_error, read_table
from casgan_dicom.disk import whole_file
from casgan_dicom.errors import ConfigError, OutputError
from casgan_dicom.node.addresses import is_loopback
from casgan_dicom.node.checks import problems
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.settings_file import Table, Told, text_of

DAY_SECONDS = 86400
_MODE = 0o640
"""Who may read it: it may name hosts and users of a hospital."""
_AE_AT_PLACE = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[^\]]+\]|[^@:]+):(?P<port>[0-9]+)")
_TLS_FILES = {"tls_certificate": "node.pem", "tls_key": "node.key", "tls_authorities": "ca.pem"}
"""Names that `node certificates` gives, too."""
_HEADING = (
    "Settings of `casgan-dicom node`, written by `casgan-dicom node init`. What is not here has its default:"
    " deploy/node.toml of the source shows every key. Lengths are bytes, times are seconds."
)


@dataclass(frozen=True)
class Answers:
    """What a person was asked."""

    data: Path
    """Folder of the node."""
    ae_title: str = "CASGAN"
    """Our AE title."""
    port: int = 11112
    """TCP port to listen on."""
    host: str = ""
    """Address to listen on; empty for all of them if somebody elsewhere may send, else this machine."""
    senders: tuple[str, ...] = ()
    """Who may send: an AE title, and behind a @ the address or network that it comes from."""
    destinations: tuple[str, ...] = ()
    """Where results go: AE@host:port, the URL of a STOW-RS service, or a folder."""
    keep_days: float = 0.0
    """For how long what was delivered, or came to nothing, is kept; 0 for ever."""
    page_port: int = 0
    """TCP port of the page, for this machine only; 0 for none."""
    tls: Path | None = None
    """Folder with certificate, key and authorities; None for no TLS."""


def configuration(answers: Answers) -> str:
    """The file that these answers make; ConfigError that says everything that is wrong with them."""
    text = text_of(_told(answers), _HEADING)
    reading = read_table(NodeSettings, tomllib.loads(text))
    if wrong := (*reading.problems, *problems(reading.settings)):
        raise config_error(wrong, hint="casgan-dicom node init --help shows how answers are given")
    return text


def write_configuration(path: Path, text: str, *, force: bool) -> None:
    """Write the file, whole or not at all, and read it again.

    Raises ConfigError if it is there and `force` is false, OutputError if it cannot be written.
    """
    if os.path.lexists(path) and not force:
        raise ConfigError(f"{path}: is there already", hint="name another file, or overwrite it with --force")
    try:
        with whole_file(path) as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(text.encode())
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror})", hint="name a file in a folder that can"
        ) from error


def _told(answers: Answers) -> Told:
    senders = [_sender(each) for each in answers.senders]
    elsewhere = any("address" in each for each in senders)
    tables: dict[str, Table | Sequence[Table]] = {
        "listener": {
            "host": answers.host or ("0.0.0.0" if elsewhere else "127.0.0.1"),
            "port": answers.port,
            "ae_title": answers.ae_title,
            **_tls(answers.tls),
        }
    }
    if answers.page_port:
        tables["page"] = {"port": answers.page_port}
    if answers.keep_days:
        seconds = round(answers.keep_days * DAY_SECONDS)
        tables["retention"] = {"delivered_seconds": seconds, "ended_seconds": seconds}
    if senders:
        tables["peers"] = senders
    if answers.destinations:
        tables["destinations"] = list(_destinations(answers.destinations))
    return Told({"data": str(answers.data.absolute())}, tables)


def _tls(folder: Path | None) -> Table:
    return {} if folder is None else {key: str(folder.absolute() / name) for key, name in _TLS_FILES.items()}


def _sender(text: str) -> Table:
    """CATHLAB1@10.1.2.3; what comes from this machine needs no address."""
    title, _, address = text.partition("@")
    return (
        {"ae_title": title, "address": address}
        if address and not is_loopback(address)
        else {"ae_title": title}
    )


def _destinations(texts: Sequence[str]) -> Iterator[Table]:
    """Each with a name of its own: pacs, web, folder, and from the second of a kind with a number."""
    counts: dict[str, int] = {}
    for text in texts:
        name, keys = _destination(text)
        counts[name] = counts.get(name, 0) + 1
        yield {"name": name if counts[name] == 1 else f"{name}{counts[name]}", **keys}


def _destination(text: str) -> tuple[str, Mapping[str, str | int]]:
    if found := _AE_AT_PLACE.fullmatch(text):
        host = found["host"].strip("[]")
        return "pacs", {"host": host, "port": int(found["port"]), "ae_title": found["title"]}
    if text.startswith(("http://", "https://")):
        return "web", {"kind": "stow", "url": text}
    if text.startswith("/"):
        return "folder", {"kind": "folder", "folder": text}
    raise ConfigError(
        f"'{text}' is no destination",
        hint="want PACS@10.1.2.4:104, https://pacs.example/dicom-web/studies or /a/folder",
    )
