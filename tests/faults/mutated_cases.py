"""Mutated files through the whole conversion, one after the other, each judged by what it leaves.

    python -m tests.faults.mutated_cases FOLDER FIRST LAST

FOLDER is that of `write_good_files`. One line of JSON before a case and one after it: what ended the process
in between is the case that was begun and not ended.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from time import monotonic

from pydicom import dcmread
from pydicom.dataset import Dataset

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.errors import CasganError
from casgan_dicom.source.elements import several
from casgan_dicom.source.header import Head, read_head
from casgan_dicom.verification.verify import verify_file
from tests.faults.file_mutations import write_case
from tests.support.painter import DiscPainter

CPU_SECONDS, WALL_SECONDS = 20, 200
"""What one case may take: of the processor, and by the clock of a busy machine. Either ends the process."""
MEBIBYTES = 600
"""What one case may add to the memory of this process."""


def main(good: Path, first: int, last: int) -> None:
    """Run the cases and report each."""
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as folder:
            case = write_case(good, seed, Path(folder) / "in")
            begun = {"seed": seed, "case": case, "mebibytes": 0, "seconds": 0.0}
            say(begun)
            say(begun | judged(Path(folder)))


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def judged(folder: Path) -> dict[str, object]:
    """Convert what is in the folder, within limits, and judge it."""
    before, started = _memory(reset=True), monotonic()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.alarm(WALL_SECONDS)
    faults: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = _converted(folder, faults)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    # A warning of pydicom quotes what it warns of, which may be a name.
    faults += [f"warned: {one.category.__name__} at {one.filename}:{one.lineno}" for one in caught]
    added = max(_memory() - before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
    if added > MEBIBYTES:
        faults.append(f"{added} MiB")
    return {"outcome": outcome, "faults": faults, "mebibytes": added, "seconds": monotonic() - started}


def _converted(folder: Path, faults: list[str]) -> str:
    """Convert, and add what is wrong about it; returns in one word what became of it."""
    out = folder / "out"
    try:
        report = convert_series([folder / "in"], DiscPainter().as_generator, OPTIONS, out)
    except CasganError as error:
        if not error.message:
            faults.append("an error without words")
        faults += [f"left {path.name}" for path in out.rglob("*") if path.is_file()]
        return "error"
    except Exception:
        faults.append(traceback.format_exc(limit=-4))
        return "exception"
    faults += _faults_of(report, folder)
    return "converted" if report.outputs else "refused"


OPTIONS = ConvertOptions(force=True)


def _faults_of(report: ConvertReport, folder: Path) -> list[str]:
    """What is wrong about a report or about what was written."""
    faults = ["skipped without a reason" for skipped in report.skipped if not all(skipped.reasons)]
    if not report.outputs and not report.skipped:
        faults.append("neither converted nor skipped")
    written = {one.path for output in report.outputs for one in output.objects}
    present = {path for path in (folder / "out").rglob("*") if path.is_file()}
    if present != written | {folder / "out" / "report.json"}:
        faults.append(f"{len(present)} files for {len(written)} objects")
    headers = _headers(folder / "in")
    for output in report.outputs:
        faults += [f"verify: {finding}" for one in output.objects for finding in verify_file(one.path)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ours, of a character set that the source had already
            ds = dcmread(output.path)
        sources = [headers[uid] for uid in output.source_instances]
        frames = sum(int((*several(each.get("NumberOfFrames")), 1)[0]) for each in sources)
        wanted = (frames, sources[0].Rows, sources[0].Columns)
        found = (ds.get("NumberOfFrames", 1), *ds.pixel_array.shape[-2:])
        if found != wanted:
            faults.append(f"{found} written, the header says {wanted}")
    return faults


def _headers(folder: Path) -> dict[str, Dataset]:
    """The headers that can be read, by SOP Instance UID: by pydicom, or where its own bytes told us how."""
    found: dict[str, Dataset] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in folder.iterdir():
            try:
                ds: Dataset = dcmread(path)
                head = read_head(path) if "SOPInstanceUID" not in ds else None
                ds = head.ds if isinstance(head, Head) else ds
                found[str(ds.SOPInstanceUID)] = ds
            except Exception:  # no header: then nothing may have been made of it, or the look-up fails
                continue
    return found


def _memory(*, reset: bool = False) -> int:
    """Largest resident memory in MiB since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A bomb ends this process, not the machine.
    resource.setrlimit(resource.RLIMIT_DATA, (8 * 2**30, 8 * 2**30))
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
