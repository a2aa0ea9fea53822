"""The database of the books, where that is a server: there, and good enough. Nothing is written to it."""

from __future__ import annotations

from collections.abc import Iterator

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.doctor.finding import Finding, fail, ok
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.books import server_of_books

_AT = "state.database"


def look_at_database(settings: NodeSettings) -> Iterator[Finding]:
    """The server that the settings name."""
    try:
        yield ok(_AT, server_of_books(settings))
    except ConfigError as error:
        yield fail(_AT, error.message.removeprefix(f"{_AT}: "), error.hint)
