"""Two halves of a pass on two cores: what comes next is made while what is there is used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], tell: Callable[[Item], None] | None = None) -> Iterator[Item]:
    """Hand on `items`, which a thread makes: one ahead of whoever takes them, and no more.

    `tell` hears of each, in the thread of the taker, before the next is begun: where making one ends the
    process, it is known which one that was. Each is asked for in turn by the same thread, so nothing in
    `items` runs twice at a time; whatever they share with their taker does. What they raise is raised here.
    When the taker stops, they are closed once the one that is being made is done.
    """
    stream, context = iter(items), copy_context()

    def one_more() -> list[Item]:
        return context.run(lambda: list(islice(stream, 1)))

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        try:
            coming = thread.submit(one_more)
            while item := coming.result():
                if tell is not None:
                    tell(item[0])
                coming = thread.submit(one_more)
                yield item[0]
        finally:
            if isinstance(stream, Generator):
                thread.submit(stream.close).result()
