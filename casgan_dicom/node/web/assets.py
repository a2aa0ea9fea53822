"""The files that a browser gets: a shell for all pages, style, scripts. They hold no data and need no token.

They are read once, when the process starts; no name from a request ever becomes a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from casgan_dicom.node.web.entrance import Entrance
from casgan_dicom.node.web.refusal import ABSENT, UNKNOWN, RefusedError

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Page:
    """A page for people."""

    path: str
    """Where it is; words in braces are left to its script."""
    name: str
    """Of its script in ``static/pages``."""
    title: str
    """What it is called."""
    menu: str
    """What the menu calls it; empty where the menu does not lead to it."""


PAGES = (
    Page("/", "overview", "Overview", "Overview"),
    Page("/jobs", "jobs", "Jobs", "Jobs"),
    Page("/jobs/{job}", "job", "Job", ""),
    Page("/troubles", "troubles", "Dead letters and quarantine", "Troubles"),
    Page("/peers", "peers", "Peers and destinations", "Peers"),
    Page("/rules", "rules", "Rules", "Rules"),
)
"""All of them, in the order of the menu."""


def asset_routes(entrance: Entrance) -> list[BaseRoute]:
    """Pages, which send strangers to the login, and the files that they are made of."""
    files = _files()
    shell, login = (Template(files[name].decode()) for name in ("shell.html", "login.html"))

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        kind = _TYPES.get(name[name.rfind(".") :])
        if kind is None or name not in files:
            raise RefusedError(ABSENT, "there is no such file")
        return Response(files[name], media_type=f"{kind}; charset=utf-8")

    async def log_in(_request: Request) -> Response:
        return HTMLResponse(login.substitute(title="Log in"))

    found: list[BaseRoute] = [_page(each, shell, entrance) for each in PAGES]
    return [
        *found,
        Route("/login", log_in, methods=["GET"]),
        Route("/static/{name:path}", static, methods=["GET"]),
    ]


def _page(page: Page, shell: Template, entrance: Entrance) -> BaseRoute:
    menu = "".join(
        f'<li><a href="{each.path}"{_current(each, page)}>{escape(each.menu)}</a></li>'
        for each in PAGES
        if each.menu
    )
    content = shell.substitute(title=escape(page.title), page=page.name, menu=menu)

    async def show(request: Request) -> Response:
        try:
            entrance.who(request)
        except RefusedError as refused:
            if refused.status != UNKNOWN:
                raise
            return RedirectResponse("/login", 303)
        return HTMLResponse(content)

    return Route(page.path, show, methods=["GET"])


def _current(entry: Page, page: Page) -> str:
    is_here = entry == page or (page.name == "job" and entry.name == "jobs")
    return ' aria-current="page"' if is_here else ""


def _files() -> Mapping[str, bytes]:
    """Everything in ``static``, by its path there."""
    root = resources.files("casgan_dicom.node.web") / "static"
    found = {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}
    pages = root / "pages"
    return found | {f"pages/{each.name}": each.read_bytes() for each in pages.iterdir() if each.is_file()}
