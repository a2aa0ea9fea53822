"""Can the node take what comes now? What a load balancer or an orchestrator asks every few seconds: cheap."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from casgan_dicom.node.state.layout import Layout
from casgan_dicom.node.state.ledger import Ledger, LedgerError
from casgan_dicom.node.state.processes import roles_at
from casgan_dicom.node.state.supervisor import is_held


def reasons_against_ready(
    layout: Layout, ledger: Ledger, roles: Sequence[str], min_free_bytes: int, host: str = ""
) -> tuple[str, ...]:
    """Why the node cannot take what comes now; none where it can.

    `roles` are the processes that it should have, `min_free_bytes` the free space below which instances are
    refused, `host` the name of this one among several.
    """
    try:
        return tuple(_reasons(layout, ledger, roles, min_free_bytes, host))
    except LedgerError:
        return ("the ledger cannot be read",)
    except OSError:
        return ("the data folder cannot be looked at",)


def _reasons(
    layout: Layout, ledger: Ledger, roles: Sequence[str], min_free_bytes: int, host: str
) -> Iterator[str]:
    with ledger.reading() as db:
        running = roles_at(db, host)
    if not is_held(layout):
        yield "the node is stopped"
    else:
        missing = [role for role in roles if role not in running]
        yield from (f"process {role} does not run" for role in missing)
    if shutil.disk_usage(layout.data).free < min_free_bytes:
        yield "too little space is free, instances are refused"
