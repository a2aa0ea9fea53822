"""The listener: takes instances from modalities, and says so only when they are safe.

Who may send is decided in ``admission.py``, what becomes of an instance in ``reception.py``; the wire is in
``server.py``. Its process does not import torch, and decodes no pixels.
"""

from __future__ import annotations

import errno
import resource
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import monotonic, time
from typing import cast

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from casgan_dicom.errors import ConfigError
from casgan_dicom.log import get_logger
from casgan_dicom.node.changes import Changes
from casgan_dicom.node.commitment import PUSH_MODEL
from casgan_dicom.node.commitment import SYNTAXES as SYNTAXES_OF_COMMITMENT
from casgan_dicom.node.credentials import files_of_listener
from casgan_dicom.node.door.connections import Connections
from casgan_dicom.node.receive.admission import admission
from casgan_dicom.node.receive.correspondence import Correspondence
from casgan_dicom.node.receive.house import House
from casgan_dicom.node.receive.pace import Pace
from casgan_dicom.node.receive.peer_socket import DEFAULT_LIMITS, Limits
from casgan_dicom.node.receive.reception import Reception
from casgan_dicom.node.receive.reports import Reports
from casgan_dicom.node.receive.server import HardenedServer, open_server
from casgan_dicom.node.receive.spool import Spool
from casgan_dicom.node.receive.taking import reception_of
from casgan_dicom.node.settings import ListenerSettings, NodeSettings, PeerSettings
from casgan_dicom.node.share.elsewhere import promises_of
from casgan_dicom.node.state.audit import Audit
from casgan_dicom.node.state.books import open_ledger
from casgan_dicom.node.state.commitments import Commitments
from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.receipts import Receipts
from casgan_dicom.node.state.rejections import Rejections
from casgan_dicom.node.tls import Renewed, server_context
from casgan_dicom.pixels.syntaxes import SYNTAXES
from casgan_dicom.source.eligible import SECONDARY_CAPTURES, SOP_CLASSES

STORAGE_CLASSES = (*SOP_CLASSES, *SECONDARY_CAPTURES)
"""What is taken; what of it is converted, ``source/eligible.py`` decides."""

GRACE_SECONDS = 3.0
"""How long associations may go on when the listener stops."""
_END_SECONDS = 2.0
_POLL_SECONDS = 0.2
_COUNT_SECONDS = 2.0
"""Between two times that those are written down who were not let in."""
_FILES_PER_CONNECTION, _OTHER_FILES = 4, 100

log = get_logger("listener")


def contexts() -> list[PresentationContext]:
    """What can be sent here: C-ECHO, commitment, and all that may be converted with what is installed."""
    syntaxes: list[str | UID] = [uid for uid, row in SYNTAXES.items() if not row.decoder.missing]
    commitment = build_context(PUSH_MODEL, [*SYNTAXES_OF_COMMITMENT])
    commitment.scu_role = commitment.scp_role = True  # who reports to us opens associations as the provider
    stored = (build_context(uid, syntaxes) for uid in STORAGE_CLASSES)
    return [build_context(Verification), commitment, *stored]


def run_listener(
    settings: NodeSettings,
    recipe: str,
    on_ready: Callable[[int], None],
    stop: threading.Event,
    *,
    limits: Limits | None = None,
    changes: Changes | None = None,
) -> None:
    """Listen until `stop` is set.

    Parameters
    ----------
    settings
        Of the node.
    recipe
        What decides a result besides the series, see `receipts.job_id`.
    on_ready
        Called with the port, when it listens.
    stop
        Ends it: no new associations, and what runs may go on for `GRACE_SECONDS`.
    limits
        How long and how large things may be; None for what `settings` say, and the default of the rest.
    changes
        Tells of other settings; the list of peers, and the recipe, count from the next association or series.

    Raises
    ------
    ConfigError
        The data folder or the files of TLS cannot be used, the port cannot be had, or the system allows too
        few open files.
    """
    _allow_files(settings.listener.max_connections)
    limits = limits or replace(DEFAULT_LIMITS, idle=settings.listener.idle_seconds)
    layout = Layout(settings.data)
    spool = Spool(layout, settings.listener.max_instance_bytes, settings.listener.min_free_bytes)
    _make_folders(spool)
    ledger = open_ledger(settings)
    try:
        reception, receipts = reception_of(settings, spool, ledger, recipe)
        entrance = _Entrance(settings)
        reports = Reports(settings, Commitments(ledger))
        letters = Correspondence(reports, promises_of(settings, ledger), layout)
        house = _house(entrance, spool, reception, letters, limits)

        def take(changed: NodeSettings, recipe: str) -> None:
            entrance.take(changed)
            reports.settings, receipts.recipe = changed, recipe

        (changes or Changes()).hear(take)
        server = _open(house, settings.listener)
        try:
            _sweep(spool, receipts)
        except BaseException:
            server.server_close()
            raise
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote what peers say
            _serve(server, Rejections(ledger), on_ready, stop)
    finally:
        ledger.close()


class _Entrance:
    """Who may come in now, and how fast everybody may send."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.paces: dict[PeerSettings, Pace] = {}
        self.take(settings)

    def take(self, settings: NodeSettings) -> None:
        """Ask by other settings from now on; associations that there are stay."""
        for peer in settings.peers:
            if peer.max_bytes_per_second:
                self.paces.setdefault(peer, Pace(peer.max_bytes_per_second))
        self.settings = settings


def _house(
    entrance: _Entrance, spool: Spool, reception: Reception, letters: Correspondence, limits: Limits
) -> House:
    settings = entrance.settings
    listener = settings.listener
    files = files_of_listener(listener)
    places = listener.max_connections, listener.max_connections_per_address
    make = partial(server_context, asks=listener.tls_asks)
    audit = Audit(spool.layout, settings.audit, listener.ae_title)
    return House(
        lambda caller: admission(entrance.settings, caller),
        spool.begin,
        reception.take,
        letters,
        Connections(*places),
        limits,
        tls=None if files is None else Renewed(files, make).context,
        paces=entrance.paces,
        on_refusal=lambda each: audit.rejected(each.ae_title, each.called, each.address, each.reason),
    )


def _serve(
    server: HardenedServer,
    rejections: Rejections,
    on_ready: Callable[[int], None],
    stop: threading.Event,
) -> None:
    """Accept connections until told to stop, then end those that there are."""
    with _accepting(server) as thread:
        on_ready(server.server_address[1])
        secure = server.house.tls is not None
        log.info("listening", host=server.server_address[0], port=server.server_address[1], tls=secure)
        written_at = monotonic()
        while not stop.wait(_POLL_SECONDS):
            if not thread.is_alive():
                raise RuntimeError("the thread that accepts connections has ended")
            if monotonic() - written_at >= _COUNT_SECONDS:
                server.house.refusals.write(rejections, time())
                written_at = monotonic()
    connections = server.house.connections
    if not connections.wait_until_none(GRACE_SECONDS):
        for assoc in connections.all():
            cast(Association, assoc).abort(block=False)
        if not connections.wait_until_none(_END_SECONDS):
            connections.hang_up()
            connections.wait_until_none(_END_SECONDS)
    server.house.refusals.write(rejections, time())
    log.info("stopped listening")


@contextmanager
def _accepting(server: HardenedServer) -> Iterator[threading.Thread]:
    """Accept connections in a thread."""
    thread = threading.Thread(target=server.serve_forever, args=[_POLL_SECONDS], name="accept", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        server.shutdown()


def _open(house: House, settings: ListenerSettings) -> HardenedServer:
    """Have the port. Raises ConfigError."""
    where = f"{settings.host} port {settings.port}"
    try:
        return open_server(house, (settings.host, settings.port), settings.ae_title, contexts())
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"listener: {where} is in use by another program",
                hint="stop that program, or set `port` in [listener] or CASGAN_NODE_LISTENER_PORT to another",
            ) from error
        raise ConfigError(
            f"listener: cannot listen on {where} ({error.strerror or type(error).__name__})",
            hint="set `host` in [listener] to an address of this machine, and `port` to one that you may use",
        ) from error


def _make_folders(spool: Spool) -> None:
    try:
        spool.make()
    except OSError as error:
        raise ConfigError(
            f"data folder {spool.layout.data}: cannot be written ({error.strerror})",
            hint="set `data` in the configuration to a folder that can",
        ) from error


def _sweep(spool: Spool, receipts: Receipts) -> None:
    """Delete what no crash has let become of use."""
    swept = spool.sweep(receipts.paths(), receipts.needed())
    if swept.parts or swept.orphans:
        log.info("unfinished files deleted", parts=swept.parts, orphans=swept.orphans)
    if swept.missing:
        log.error("files of unfinished jobs are missing", count=swept.missing)


def _allow_files(connections: int) -> None:
    """Ask the system for as many open files as there may be. Raises ConfigError."""
    wanted = _FILES_PER_CONNECTION * connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"listener: {connections} connections take {wanted} open files, the system allows {hard}",
            hint="lower max_connections in [listener], or raise the limit (ulimit -n)",
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
