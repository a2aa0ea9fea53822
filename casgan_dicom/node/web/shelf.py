"""What the player may show: the files of a job, as the ledger has them."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.node.state.job_pages import JobFiles, files_of
from casgan_dicom.node.web.site import Site
from casgan_dicom.player.shelf import Exhibit


class JobShelf:
    """The jobs of a node.

    Parameters
    ----------
    site
        Of the page.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, name: str) -> Exhibit | None:
        """The files of a job by its id; None where nothing is left of what it made."""
        files = files_of(self._site.ledger, name)
        return None if files is None else exhibit_of(files)


def exhibit_of(files: JobFiles) -> Exhibit | None:
    """What can be played of the files of a job; None where it made nothing, or that is gone."""
    derived = _there([each.path for each in files.made])
    return Exhibit(_there(files.sources), derived) if derived else None


def _there(paths: tuple[Path, ...] | list[Path]) -> tuple[Path, ...]:
    """Files that are all on the disk; none where one is gone."""
    return tuple(paths) if all(path.is_file() for path in paths) else ()
