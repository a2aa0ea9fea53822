"""Where the books of a node lie: in files of SQLite in its data folder, or in a database of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.disk import write_whole
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.postgres_place import Place, PostgresPlace
from casgan_dicom.node.state.postgres_server import description_of

_FILES = "files of SQLite"


def open_ledger(settings: NodeSettings) -> Ledger:
    """Open the ledger of a node, made with its tables if it is not there. Raises ConfigError."""
    return Ledger(ledger_place(settings))


def ledger_place(settings: NodeSettings) -> Place:
    """Where the node's own book lies."""
    return _postgres(settings) or Layout(settings.data).ledger


def workflow_place(settings: NodeSettings) -> Place:
    """Where the durable workflows lie."""
    return _postgres(settings) or Layout(settings.data).dbos


def server_of_books(settings: NodeSettings) -> str:
    """What the server that keeps them says of itself; empty for files. Nothing is written to it.

    Raises ConfigError where it cannot be used.
    """
    place = _postgres(settings)
    return "" if place is None else description_of(place)


def bind_to_books(settings: NodeSettings) -> None:
    """See that the data folder belongs to the books that the settings name; the first to come has it.

    A listener deletes what no row speaks of: beside other books, that would be everything.

    Raises ConfigError if it belongs to others, OSError if that cannot be read or written.
    """
    layout, wanted = Layout(settings.data), _name_of_books(settings)
    if layout.books.exists():
        known = layout.books.read_text(encoding="utf-8").strip()
    else:  # a node of an older version has left no more than its ledger
        known = _FILES if layout.ledger.is_file() else wanted
    if known != wanted:
        raise ConfigError(
            f"data folder {settings.data}: its books are in {known}, and the settings name {wanted},"
            " which knows nothing of what lies there",
            hint="set [state] as it was, or give the node another data folder;"
            f" if it is the same database by another name, delete {layout.books}",
        )
    if not layout.books.exists():
        write_whole(layout.books, f"{wanted}\n".encode())


def _name_of_books(settings: NodeSettings) -> str:
    place = _postgres(settings)
    return _FILES if place is None else f"{place}, schema {place.schema}"


def files_of_books(settings: NodeSettings) -> tuple[Path, ...]:
    """The files among them."""
    places = ledger_place(settings), workflow_place(settings)
    return tuple(each for each in places if isinstance(each, Path))


def _postgres(settings: NodeSettings) -> PostgresPlace | None:
    state = settings.state
    if not state.database:
        return None
    return PostgresPlace(state.database, state.schema, state.password_file)
