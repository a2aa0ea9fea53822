"""A configuration as a file: read back it says the same, and its comments are those of deploy/node.toml."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casgan_dicom.node.settings_file import Told, text_of
from tests.node.test_settings_example import comments_above_settings

TOLD = Told(
    {"data": "/srv/node"},
    {
        "listener": {"port": 104, "ae_title": "US", "tls_asks": False},
        "retention": {"delivered_seconds": 60.5},
        "destinations": [{"name": "a", "hours": ["Sat-Sun"]}, {"name": "b", "port": 105}],
    },
)


def test_what_is_written_is_what_is_read() -> None:
    found = tomllib.loads(text_of(TOLD, "Ours."))

    assert found == {"data": "/srv/node", **TOLD.tables}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f")))
def test_any_text_is_read_as_it_was(text: str) -> None:
    assert tomllib.loads(text_of(Told({"data": text}, {}), ""))["data"] == text


def test_each_key_has_the_comment_of_the_example_where_it_first_stands() -> None:
    text, meanings = text_of(TOLD, "Ours."), comments_above_settings()
    found = re.findall(r"((?:^# .*\n)+)^(\w+) = ", text, flags=re.MULTILINE)

    told = [(key, " ".join(line.removeprefix("# ") for line in above.splitlines())) for above, key in found]

    wanted = [
        "data",
        "listener.port",
        "listener.ae_title",
        "listener.tls_asks",
        "retention.delivered_seconds",
    ]
    wanted += ["destinations.name", "destinations.hours", "destinations.port"]
    assert [key for key, _ in told] == [each.rpartition(".")[2] for each in wanted]
    assert all(meanings[key].startswith(text) for key, (_, text) in zip(wanted, told, strict=True))
    assert max(map(len, text.splitlines())) <= 100


def test_a_key_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        text_of(Told({"colour": "red"}, {}), "")
