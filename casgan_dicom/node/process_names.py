"""Which processes a node has. Pure."""

from __future__ import annotations

from casgan_dicom.node.settings import NodeSettings


def roles(settings: NodeSettings) -> tuple[str, ...]:
    """The processes of a node, in the order in which they start."""
    wanted = settings.host.roles
    keeper = ("keeper",) if settings.host.name else ()
    workers = tuple(f"worker.{device}" for device in settings.worker.devices) if "worker" in wanted else ()
    coordinator, sender, listener = (
        (each,) if each in wanted else () for each in ("coordinator", "sender", "listener")
    )
    inboxes = ("inbox",) if settings.inboxes else ()
    puller = ("puller",) if settings.pulls else ()
    web = ("web",) if settings.web.port else ()
    page = ("page",) if settings.page.port else ()
    courier = ("courier",) if settings.audit.host or settings.notifications else ()
    return (
        *keeper, *coordinator, *workers, *sender, *inboxes, *puller, *web, *page, *courier, *listener,
    )  # fmt: skip
