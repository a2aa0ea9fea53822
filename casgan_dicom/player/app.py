"""What the player asks of a server: the facts of an item, its frames, and its own code.

    GET items/{name}                                          facts of all runs, JSON
    GET items/{name}/{run}/{track}/frames/{first}-{last}      stored values, from 0, the last among them
    GET items/{name}/{run}/{track}/table/{frame}              display value of each stored value, float32
    GET items/{name}/{run}/{track}/visible/{frame}            what shutters leave visible, a byte a pixel
    GET static/{file}                                         player.js, player.css and what they load

Numbers are little endian. A fault is JSON with a sentence in `error`. Who may look is the affair of whoever
mounts the routes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from casgan_dicom.errors import CasganError
from casgan_dicom.player.item import item_json
from casgan_dicom.player.open_exhibits import OpenExhibits
from casgan_dicom.player.scene import Scene
from casgan_dicom.player.shelf import Shelf
from casgan_dicom.player.track import Track

STATIC = Path(__file__).with_name("static")
"""Folder of what the browser loads."""
MAX_CHUNK_BYTES = 32 * 2**20
"""Most that one request for frames may ask for."""

_NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def player_routes(shelf: Shelf, exhibits: OpenExhibits | None = None) -> list[BaseRoute]:
    """Routes of the player, to be mounted under any prefix.

    Parameters
    ----------
    shelf
        Finds the exhibits; asked at every request.
    exhibits
        Those that are open, for whoever wants to close them; else they go with the process.
    """
    office = _Office(shelf, exhibits or OpenExhibits())
    track = "/items/{name}/{run:int}/{track}"
    return [
        Route("/items/{name}", office.item),
        Route(track + "/frames/{first:int}-{last:int}", office.frames),
        Route(track + "/table/{frame:int}", office.table),
        Route(track + "/visible/{frame:int}", office.visible),
        Mount("/static", _Code(directory=STATIC)),
    ]


class _Code(StaticFiles):
    """What the browser loads; it asks each time whether that has changed, as it does with a new version."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # as the base
        """The file."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


class _Office:
    """Answers requests. None is a coroutine, so each waits in a thread of its own."""

    def __init__(self, shelf: Shelf, exhibits: OpenExhibits) -> None:
        self._shelf = shelf
        self._exhibits = exhibits

    def item(self, request: Request) -> Response:
        """Facts of all runs; the first of them begins to be decoded."""
        return self._answer(request, _facts, anew=True)

    def frames(self, request: Request) -> Response:
        """Stored values of some frames."""

        def read(scene: Scene) -> Response:
            first, last = request.path_params["first"], request.path_params["last"]
            track = _track(scene, request)
            if (last - first + 1) * track.reel.frame_bytes > MAX_CHUNK_BYTES and last > first:
                return _fault(f"frames {first + 1} to {last + 1} are more than {MAX_CHUNK_BYTES} bytes", 400)
            return _bytes(track.reel.read(first, last))

        return self._answer(request, read)

    def table(self, request: Request) -> Response:
        """Display value of each stored value."""
        return self._answer(
            request, lambda scene: _bytes(_track(scene, request).table(request.path_params["frame"]))
        )

    def visible(self, request: Request) -> Response:
        """What shutters leave visible."""
        return self._answer(
            request, lambda scene: _bytes(_track(scene, request).visible(request.path_params["frame"]))
        )

    def _answer(self, request: Request, make: Callable[[Scene], Response], *, anew: bool = False) -> Response:
        """What is made of the open item; a fault of it in words."""
        exhibit = self._shelf.find(request.path_params["name"])
        if exhibit is None:
            return _fault("there is no item of that name", 404)
        try:
            return make(self._exhibits.scene(exhibit, anew=anew))
        except KeyError:
            return _fault("the item has no such run or track", 404)
        except CasganError as error:
            return _fault(error.message, 422, error.hint)


def _facts(scene: Scene) -> Response:
    for name in ("source", "derived"):
        if track := scene.runs[0].tracks.get(name):
            track.reel.start()
    return JSONResponse(item_json(scene), headers=_NOT_KEPT)


def _track(scene: Scene, request: Request) -> Track:
    """The track that a request is about. Raises KeyError."""
    number: int = request.path_params["run"]
    name: str = request.path_params["track"]
    if number >= len(scene.runs):
        raise KeyError(number)
    return scene.runs[number].tracks[name]


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers=_NOT_KEPT)


def _fault(sentence: str, status: int, hint: str = "") -> Response:
    return JSONResponse({"error": sentence, "hint": hint}, status, headers=_NOT_KEPT)
