"""Exhibits that are being looked at: opened once, kept for a while, let go when others are wanted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future

from casgan_dicom.player.scene import Scene, open_exhibit
from casgan_dicom.player.shelf import Exhibit

KEPT = 8
"""Most exhibits that are open; the decoded frames of each are on the disk meanwhile."""

Stamps = tuple[tuple[int, int], ...]


class OpenExhibits:
    """Opens exhibits; several threads may ask at once."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._turn = threading.Lock()
        self._scenes: OrderedDict[Exhibit, tuple[Stamps, Future[Scene]]] = OrderedDict()

    def scene(self, exhibit: Exhibit, *, anew: bool = False) -> Scene:
        """The open exhibit; opened again, if asked to look, where its files are not what they were.

        Raises SeriesError as `open_exhibit`.
        """
        with self._turn:
            known = self._scenes.get(exhibit)
        if known is None or (anew and known[0] != _stamps(exhibit)):
            return self._open(exhibit)
        with self._turn:
            if exhibit in self._scenes:
                self._scenes.move_to_end(exhibit)
        return known[1].result()

    def close(self) -> None:
        """Let go of all."""
        with self._turn:
            gone = [future for _, future in self._scenes.values()]
            self._scenes.clear()
        _let_go(gone)

    def _open(self, exhibit: Exhibit) -> Scene:
        future: Future[Scene] = Future()
        stamps = _stamps(exhibit)
        with self._turn:
            known = self._scenes.get(exhibit)
            if known is not None and known[0] == stamps:
                future = known[1]  # another thread was first
            else:
                self._scenes[exhibit] = (stamps, future)
            self._scenes.move_to_end(exhibit)
            gone = [known[1]] if known is not None and known[1] is not future else []
            while len(self._scenes) > self._kept:
                gone.append(self._scenes.popitem(last=False)[1][1])
        _let_go(gone)
        if known is not None and known[1] is future:
            return future.result()
        return self._fill(exhibit, future)

    def _fill(self, exhibit: Exhibit, future: Future[Scene]) -> Scene:
        """Open it for all who wait; what could not be opened is tried again by the next."""
        try:
            scene = open_exhibit(exhibit)
        except BaseException as error:
            with self._turn:
                if self._scenes.get(exhibit, (None, None))[1] is future:
                    del self._scenes[exhibit]
            future.set_exception(error)
            raise
        future.set_result(scene)
        return scene


def _stamps(exhibit: Exhibit) -> Stamps:
    """Size and time of change of every file; zeros for one that is not there."""
    found = []
    for path in (*exhibit.sources, *exhibit.derived):
        try:
            about = path.stat()
            found.append((about.st_size, about.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def _let_go(scenes: list[Future[Scene]]) -> None:
    for future in scenes:
        future.add_done_callback(_close)


def _close(future: Future[Scene]) -> None:
    if future.exception() is None:
        future.result().close()
