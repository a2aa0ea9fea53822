"""How hosts prove that they belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from casgan_dicom.errors import ConfigError
from casgan_dicom.node.share.signature import MOST_APART_SECONDS, Secret

PATH = "/instances/1.2.3/ab"


def secret(folder: Path, text: str = "x" * 32, mode: int = 0o600) -> Secret:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return Secret(path)


def test_who_knows_the_secret_may_have_what_he_asks_for_and_nothing_else(tmp_path: Path) -> None:
    ours = secret(tmp_path)
    header = ours.sign(PATH, 0, 1000.0)

    assert ours.proves(header, PATH, 0, 1000.0)
    assert not ours.proves(header, "/instances/1.2.4/ab", 0, 1000.0)
    assert not ours.proves(header, PATH, 1, 1000.0)
    assert not secret(tmp_path, "y" * 32).proves(header, PATH, 0, 1000.0)


def test_the_secret_is_in_no_request(tmp_path: Path) -> None:
    assert "x" * 32 not in secret(tmp_path).sign(PATH, 0, 1000.0)


@pytest.mark.parametrize("apart", [MOST_APART_SECONDS + 1, -MOST_APART_SECONDS - 1])
def test_what_was_overheard_is_no_good_for_long(tmp_path: Path, apart: float) -> None:
    ours = secret(tmp_path)

    assert not ours.proves(ours.sign(PATH, 0, 1000.0), PATH, 0, 1000.0 + apart)


@pytest.mark.parametrize(
    "header", ["", "Bearer x", "CASGAN-HMAC-SHA256", "CASGAN-HMAC-SHA256 1000.000 ", "é"]
)
def test_anything_else_proves_nothing(tmp_path: Path, header: str) -> None:
    ours = secret(tmp_path)
    signed = ours.sign(PATH, 0, 1000.0)

    assert not ours.proves(header, PATH, 0, 1000.0)
    assert not ours.proves(signed.replace("CASGAN-HMAC-SHA256", "Bearer"), PATH, 0, 1000.0)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("x" * 31, 0o600, "want at least 32"),
        ("x" * 32, 0o644, "every user may read it"),
        ("", 0o600, "0 char"),
    ],
)
def test_a_secret_that_is_no_good_is_said_and_never_quoted(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        secret(tmp_path, text, mode)

    assert not text or text not in str(told.value)


def test_a_secret_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Secret(tmp_path / "none")
