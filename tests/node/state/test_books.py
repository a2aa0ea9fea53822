"""A data folder and its books belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings, StateSettings
from casgan_dicom.node.state.books import bind_to_books, open_ledger
from casgan_dicom.node.state.layout import Layout

SERVER = StateSettings("postgresql://casgan@db.example/casgan")
OTHERS = {
    "files": StateSettings(),
    "server": SERVER,
    "another server": StateSettings("postgresql://casgan@db2.example/casgan"),
    "another database": StateSettings("postgresql://casgan@db.example/other"),
    "another schema": StateSettings("postgresql://casgan@db.example/casgan", schema="other"),
}


@pytest.mark.parametrize("now", OTHERS)
@pytest.mark.parametrize("before", OTHERS)
def test_a_data_folder_is_taken_to_no_other_books(tmp_path: Path, before: str, now: str) -> None:
    bind_to_books(NodeSettings(data=tmp_path, state=OTHERS[before]))

    if before == now:
        bind_to_books(NodeSettings(data=tmp_path, state=OTHERS[now]))
        return
    with pytest.raises(ConfigError, match=f"data folder {tmp_path}: its books are in .* which knows nothing"):
        bind_to_books(NodeSettings(data=tmp_path, state=OTHERS[now]))


def test_a_folder_of_an_older_version_belongs_to_its_ledger(tmp_path: Path) -> None:
    open_ledger(NodeSettings(data=tmp_path)).close()

    with pytest.raises(ConfigError, match="in files of SQLite, and the settings name postgresql:"):
        bind_to_books(NodeSettings(data=tmp_path, state=SERVER))

    bind_to_books(NodeSettings(data=tmp_path))


def test_another_user_of_the_database_or_way_to_it_is_the_same(tmp_path: Path) -> None:
    bind_to_books(NodeSettings(data=tmp_path, state=SERVER))

    url = "postgresql://other@db.example/casgan?sslmode=verify-full"
    bind_to_books(NodeSettings(data=tmp_path, state=StateSettings(url, "/etc/casgan-dicom/password")))

    assert "password" not in Layout(tmp_path).books.read_text()
