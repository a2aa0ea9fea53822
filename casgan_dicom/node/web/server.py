"""What listens for those who look at the node: the process `page`."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.changes import Changes
from casgan_dicom.node.credentials import files_of_page
from casgan_dicom.node.door.complaints import Complaints
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.door.http import Door, Patience
from casgan_dicom.node.door.port import counting, listening_on
from casgan_dicom.node.door.refusals import Refusals
from casgan_dicom.node.settings import NodeSettings, PageSettings
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.tls import Renewed, server_context
from casgan_dicom.node.web.app import page_app
from casgan_dicom.node.web.entrance import Entrance
from casgan_dicom.node.web.holders import Holders, make_first_token, tokens_path
from casgan_dicom.node.web.site import Site

log = get_logger("page")


def run_page(
    settings: NodeSettings,
    processes: Sequence[str],
    on_ready: Callable[[int], None],
    stop: threading.Event,
    changes: Changes,
) -> None:
    """Listen until `stop` is set.

    Parameters
    ----------
    settings
        Of the node.
    processes
        Those that the node should have, by role.
    on_ready
        Called with the port, when it listens.
    stop
        Ends it: no new connections, and requests may go on for `http.GRACE_SECONDS`.
    changes
        Tells of other settings.

    Raises
    ------
    ConfigError
        The port cannot be had, or the tokens or files of TLS are no good.
    """
    page, layout = settings.page, Layout(settings.data)
    _prepare(settings, layout)
    ledger = open_ledger(settings)
    try:
        site = Site(settings, ledger, processes)
        changes.hear(lambda taken, _: site.take(taken))
        refusals = Refusals(Complaints(), lambda each: site.audit.rejected("", "", each.address, each.reason))
        entrance = Entrance(page, Holders(tokens_path(settings)), refusals, site.audit)
        with listening_on(page.host, page.port, "page") as listening:
            door = _door(page, site, entrance, refusals)
            on_ready(listening.getsockname()[1])
            log.info("listening for browsers", host=page.host, port=page.port, tls=bool(page.tls_certificate))
            with closing(site), counting(refusals, Rejections(ledger)):
                asyncio.run(door.run(listening, stop.is_set))
    finally:
        ledger.close()
    log.info("stopped listening for browsers")


def _prepare(settings: NodeSettings, layout: Layout) -> None:
    """Have a token, and none of the files that were tried before. Raises ConfigError."""
    shutil.rmtree(layout.trials, ignore_errors=True)
    try:
        layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_first_token(settings)
    except OSError as error:
        raise ConfigError(
            f"{layout.page_tokens}: cannot be written ({error.strerror})",
            hint="make room in the data folder, or name a `tokens_file` in [page]",
        ) from error


def _door(page: PageSettings, site: Site, entrance: Entrance, refusals: Refusals) -> Door:
    files = files_of_page(page)
    make = partial(server_context, asks=bool(page.tls_authorities))
    tls = None if files is None else Renewed(files, make).context
    connections = Connections(page.max_connections, page.max_connections_per_address)
    return Door(page_app(site, entrance), connections, refusals, tls, Patience())
