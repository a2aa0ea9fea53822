"""Converting the instances of a job once more, with another bundle: whether it can be, and how."""

from __future__ import annotations

from pathlib import Path

from casgan_dicom.errors import SeriesError
from casgan_dicom.model.bundle.shelf import bundle_folder
from casgan_dicom.node.settings import NodeSettings, Priority
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.ledger import Ledger
from casgan_dicom.node.state.orders import Orders, Repeat
from casgan_dicom.node.state.removals import Removals
from casgan_dicom.node.work.recipe import recipe_of


def repeat_with(settings: NodeSettings, bundle: str, priority: Priority) -> Repeat:
    """How to convert with a bundle. Raises WeightsError if it is not there."""
    folder = bundle_folder(bundle)
    named = bundle if folder.resolve() != Path(bundle).resolve() else str(folder.resolve())
    return Repeat(named, recipe_of(settings.worker, named), priority)


def check_kept(ledger: Ledger, job: str, state: str, how: Repeat, now: float) -> None:
    """Raise SeriesError where a job cannot be converted once more; what was removed of it is wanted again."""
    if state in ("receiving", "queued", "converting"):
        raise SeriesError(
            f"job {job} is {state}: it was not converted yet",
            hint="wait for its end, or `casgan-dicom node cancel` it",
        )
    paths = JobList(ledger).inputs(job).paths
    gone = sum(not path.is_file() for path in paths)
    if gone:
        removed = Removals(ledger).ask_for(paths, now)
        why = f", {removed} of them by retention" if removed else ""
        raise SeriesError(
            f"job {job}: {gone} of {len(paths)} files are gone from the spool{why}",
            hint="send the series again: what is gone is stored again, and the job can be converted",
        )
    same = Orders(ledger).made_with(job, how.recipe)
    if same is not None:
        raise SeriesError(
            f"job {job}: job {same} makes the same of it, with the weights of '{Path(how.bundle).name}'",
            hint="name another bundle",
        )
