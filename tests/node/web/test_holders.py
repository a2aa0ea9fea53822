"""Files of tokens with a role: which are taken, and the one that is made where there is none."""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_IMODE

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.settings import NodeSettings, PageSettings
from casgan_dicom.node.web.holders import Holder, Holders, make_first_token, tokens_path

TOKEN = "0123456789abcdef"


def written(folder: Path, text: str) -> Path:
    path = folder / "tokens"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("line", "holder"),
    [
        (f"anna act {TOKEN}", Holder("anna", "act")),
        (f"wall-board   look\t {TOKEN}", Holder("wall-board", "look")),
        (f"# theirs\n\nanna@example look {TOKEN}", Holder("anna@example", "look")),
    ],
)
def test_a_line_is_a_name_a_role_and_a_token(tmp_path: Path, line: str, holder: Holder) -> None:
    assert Holders(written(tmp_path, line)).holder_of(TOKEN) == holder


def test_nobody_has_a_token_that_does_not_stand_there(tmp_path: Path) -> None:
    holders = Holders(written(tmp_path, f"anna act {TOKEN}"))

    for token in ("", TOKEN[:-1], TOKEN + "0", f"anna act {TOKEN}", "é" * 16):
        assert holders.holder_of(token) is None


def test_who_may_act_may_look_and_not_the_other_way_round() -> None:
    assert Holder("a", "act").may("look")
    assert Holder("a", "act").may("act")
    assert Holder("a", "look").may("look")
    assert not Holder("a", "look").may("act")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (f"anna {TOKEN}", "line 1 has no name and role"),
        (f"anna rule {TOKEN}", "line 1 has another role than look or act"),
        (f"anna maria act {TOKEN}", "line 1 has no name and role"),
        ("anna act short", "line 1 has a token of 5 characters"),
        (f"{'n' * 65} act {TOKEN}", "line 1 has no name and role"),
        ("# nobody", "holds no token"),
    ],
)
def test_a_file_that_is_no_good_is_told_without_quoting_it(tmp_path: Path, line: str, wanted: str) -> None:
    path = written(tmp_path, line)

    with pytest.raises(ConfigError, match=wanted) as told:
        Holders(path)

    assert "page.tokens_file" in told.value.message
    assert TOKEN not in told.value.message


def test_without_a_file_one_is_made_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    settings = NodeSettings(data=tmp_path, page=PageSettings(port=8044))
    path = tokens_path(settings)

    old = os.umask(0)
    try:
        make_first_token(settings)
    finally:
        os.umask(old)
    first = path.read_text()
    make_first_token(settings)

    assert path == tmp_path / "page_tokens"
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == first
    token = re.search(r"(?m)^page act (\S{43})$", first)
    assert token is not None
    assert Holders(path).holder_of(token[1]) == Holder("page", "act")
    assert [each.name for each in tmp_path.iterdir()] == ["page_tokens"]


def test_where_the_settings_name_a_file_none_is_made(tmp_path: Path) -> None:
    make_first_token(NodeSettings(data=tmp_path, page=PageSettings(port=8044, tokens_file="/absent")))

    assert not any(tmp_path.iterdir())
