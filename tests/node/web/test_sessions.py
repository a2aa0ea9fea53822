"""What a cookie says, and for how long."""

from __future__ import annotations

from casgan_dicom.node.web.sessions import MOST, Sessions


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_knows_its_token_until_its_time_is_over() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    number = sessions.begin("a token")

    clock.now += 59
    assert sessions.token_of(number) == "a token"
    clock.now += 1
    assert sessions.token_of(number) == ""


def test_numbers_are_long_and_none_is_like_another() -> None:
    sessions = Sessions(60)

    numbers = {sessions.begin("a token") for _ in range(100)}

    assert len(numbers) == 100
    assert min(map(len, numbers)) >= 43  # 256 bits


def test_one_that_was_ended_is_over_and_no_other() -> None:
    sessions = Sessions(60)
    one, other = sessions.begin("a"), sessions.begin("b")

    sessions.end(one)

    assert sessions.token_of(one) == ""
    assert sessions.token_of(other) == "b"
    assert sessions.token_of("") == ""


def test_for_one_more_than_there_may_be_the_oldest_is_over() -> None:
    sessions = Sessions(60)
    numbers = [sessions.begin(f"{number}") for number in range(MOST + 1)]

    assert sessions.token_of(numbers[0]) == ""
    assert sessions.token_of(numbers[1]) == "1"
    assert sessions.token_of(numbers[-1]) == str(MOST)
