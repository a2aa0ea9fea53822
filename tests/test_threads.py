"""One number of threads for everything, and what they make comes in order and is the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from casgan_dicom import threads as module
from casgan_dicom.threads import in_threads

ASK = "from casgan_dicom.threads import threads; print(threads())"
PATIENCE_S = 60.0


def number_in_a_new_process(**environment: str) -> int:
    """What a process that never loads torch goes by."""
    known = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    told = subprocess.run(
        [sys.executable, "-c", ASK], env=known | environment, capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.parametrize(("told", "number"), [("3", 3), ("5,2", 5), (" 1 ", 1)])
def test_the_number_is_that_of_the_environment(told: str, number: int) -> None:
    assert number_in_a_new_process(OMP_NUM_THREADS=told) == number


@pytest.mark.parametrize("told", ["", "0", "-1", "many"])
def test_without_a_number_it_is_that_of_the_processors_given_to_the_process(told: str) -> None:
    assert number_in_a_new_process(OMP_NUM_THREADS=told) == len(os.sched_getaffinity(0))


def test_what_a_process_is_told_holds_for_torch_and_for_all_else() -> None:
    ask = "from casgan_dicom.model.devices import use_threads; use_threads(7); import torch; "
    told = subprocess.run(
        [sys.executable, "-c", ask + "print(torch.get_num_threads()); " + ASK],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["7", "7"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(module, "threads", lambda: number)
    assert in_threads(lambda k: k * k, range(20)) == [k * k for k in range(20)]
    assert in_threads(str, []) == []


def test_as_many_work_at_once_as_there_are_threads_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "threads", lambda: 3)
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def meet(_: int) -> int:
        together.wait()
        return threading.get_ident()

    assert len(set(in_threads(meet, range(3)))) == 3
    assert len(set(in_threads(lambda _: threading.get_ident(), range(50)))) <= 3


def test_one_thread_is_that_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "threads", lambda: 1)
    assert set(in_threads(lambda _: threading.get_ident(), range(4))) == {threading.get_ident()}


def test_what_goes_wrong_is_raised_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "threads", lambda: 2)

    def odd(k: int) -> int:
        if k % 2:
            raise ValueError(f"{k} is odd")
        return k

    with pytest.raises(ValueError, match="1 is odd"):
        in_threads(odd, range(9))
