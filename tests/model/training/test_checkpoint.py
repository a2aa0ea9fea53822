"""Checkpoints on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.training.checkpoint import (
    load_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 3, "pool": [torch.arange(3)], "none": None})
    state = load_checkpoint(path)
    assert (state["step"], state["none"]) == (3, None)
    assert torch.equal(state["pool"][0], torch.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_failed_save_leaves_the_earlier_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save_checkpoint(path, {"step": lambda: 2})
    assert load_checkpoint(path)["step"] == 1


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "step": Bomb()}, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"junk", None])
def test_a_damaged_or_missing_checkpoint_is_an_error_of_ours(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "checkpoint.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"checkpoint\.pt"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(path)


@pytest.mark.parametrize("state", [{"step": 1}, {"format": 99}, [1, 2]])
def test_another_format_is_refused(tmp_path: Path, state: object) -> None:
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsError, match="format"):
        load_checkpoint(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("now", [0, 1, 2, 3])
def test_a_checkpoint_of_two_gpus_is_read_with_more_or_fewer(
    now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU here, its states are stand-ins, and what is set is written down."""
    state = random_state() | {"cuda": ["first", "second"]}
    found: dict[int, str] = {}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: now)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value, number: found.update({number: value}))

    restore_random_state(state)

    assert found == dict(list(enumerate(["first", "second"]))[:now])


def test_random_numbers_continue_where_they_were() -> None:
    own = torch.Generator().manual_seed(5)
    torch.manual_seed(4)
    state = random_state(own)
    expected = (torch.rand(3), torch.rand(3, generator=own))

    torch.rand(17)
    torch.rand(17, generator=own)
    restore_random_state(state, own)

    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.rand(3, generator=own), expected[1])
