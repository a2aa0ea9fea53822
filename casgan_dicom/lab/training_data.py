"""From ``--data SPEC`` to frames: the simulator, XCAD, or folders of PNG, NPY and DICOM.

``model`` reads no DICOM and opens no CT; the readers are handed in from here.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import platformdirs

from casgan_dicom.errors import ConfigError, PixelError, SeriesError
from casgan_dicom.lab.ct import ct_backgrounds, ct_digest
from casgan_dicom.lab.options import WANTED
from casgan_dicom.lab.progress import Log, silent
from casgan_dicom.model.data.frames import (
    Domains,
    Frames,
    FrameSet,
    Series,
    frame_set,
    join_frames,
    patient_key,
)
from casgan_dicom.model.data.guided import GuidedRuns, guided_runs
from casgan_dicom.model.data.image_folder import read_images
from casgan_dicom.model.data.posed import PosedRuns, join, posed_runs
from casgan_dicom.model.data.rendering import SimulatedData
from casgan_dicom.model.data.simulated import angiograms, pairs, simulated_domains
from casgan_dicom.model.data.split import one_side
from casgan_dicom.model.data.xcad import ANGIOGRAMS, BACKGROUNDS, read_frames, read_labelled, xcad_root
from casgan_dicom.model.methods.atlas import AtlasOptions
from casgan_dicom.model.methods.casgan_atlas import GuidedOptions
from casgan_dicom.model.methods.registry import method_class
from casgan_dicom.model.settings import DataSettings, TrainSettings
from casgan_dicom.model.simulator.procedural import ProceduralBackgrounds
from casgan_dicom.pixels.decode import iter_frames
from casgan_dicom.pixels.display import Display
from casgan_dicom.source.cine import Cine
from casgan_dicom.source.eligible import reasons_against, reasons_against_series
from casgan_dicom.source.paths import OnePath, as_path
from casgan_dicom.source.series import Found, find_series

CT_SOURCES = {
    "1e817ac50e99f22c": (
        "LIDC-IDRI-0001, The Cancer Imaging Archive, Armato et al. 2011,"
        " doi:10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0; labels by TotalSegmentator"
    )
}
"""Attribution of the CT folders that are known, by `ct_digest`."""

ReadAgain = Callable[[], Iterator[Frames]]
"""Reads the series of a domain from the beginning, each (T, H, W) of display values."""

XCAD_SOURCE = "XCAD coronary angiograms (Ma et al., ICCV 2021), which may not be redistributed."
"""Attribution of XCAD."""

SIMULATED = re.compile(r"sim:(?P<seed>[0-9]+)(?P<uncached>,cache=no)?(?:,ct=(?P<ct>.+))?")
"""The simulator's form of a SPEC."""


@dataclass(frozen=True)
class Folders:
    """Two folders of frames, of PNG, NPY or DICOM."""

    x: Path
    """Frames without contrast."""
    y: Path
    """Angiograms, of other patients or the same."""


@dataclass(frozen=True)
class DataSpec:
    """A parsed ``--data``; exactly one of the first three is set."""

    simulated: SimulatedData | None = None
    """The simulator, with a base seed."""
    folders: Folders | None = None
    """Folders of domain X (no contrast) and domain Y (contrast)."""
    xcad: Path | None = None
    """Folder that holds train/ and test/ of XCAD."""
    ct: Path | None = None
    """Folder of the labelled CT behind simulated frames, where there is one."""

    @property
    def description(self) -> str:
        """One sentence for a bundle's config and card, with attribution."""
        if self.xcad is not None:
            return XCAD_SOURCE
        if self.simulated is None:
            return "Frames from two folders of the user's."
        text = (
            f"Simulated coronary X-ray cine, seed {self.simulated.seed}, {self.simulated.name} backgrounds."
        )
        if self.simulated.name == "ct":
            source = CT_SOURCES.get(self.simulated.anatomy, f"the user's, SHA-256 {self.simulated.anatomy}")
            text += f" CT: {source}."
        return text


VARIED_FRAMES = 4
"""Frames of each run that a segmentor sees in many ways."""

Data = str | Sequence[OnePath] | DataSpec
"""Training data as a caller names it: a SPEC, two folders, or what is read already."""


def parse_data(spec: Data) -> DataSpec:
    """Read ``sim:SEED[,cache=no][,ct=PATH]``, ``xcad:PATH`` or ``X_FOLDER,Y_FOLDER``; raises ConfigError.

    Two folders may also be a list or tuple of two paths. What is read already stays as it is.
    """
    if isinstance(spec, DataSpec):
        return spec
    if not isinstance(spec, str | list | tuple):
        raise ConfigError(f"data is {spec!r}, {WANTED}")
    if not isinstance(spec, str):
        return _two_folders(spec)
    if spec.startswith("sim:"):
        if not (found := SIMULATED.fullmatch(spec)):
            raise ConfigError(f"data is '{spec}', {WANTED}")
        ct = found["ct"] or None
        simulated = simulated_data(int(found["seed"]), ct, cached=not found["uncached"])
        return DataSpec(simulated=simulated, ct=None if ct is None else Path(ct))
    if spec.startswith("xcad:"):
        if not (path := spec.removeprefix("xcad:")):
            raise ConfigError(f"data is '{spec}', {WANTED}")
        return DataSpec(xcad=xcad_root(Path(path)))
    if spec.count(",") != 1:
        raise ConfigError(f"data is '{spec}', {WANTED}")
    return _two_folders(spec.split(","))


def _two_folders(given: Sequence[OnePath]) -> DataSpec:
    """Frames without contrast, then with; raises ConfigError if there are not two folders."""
    folders = [as_path(path) for path in given]
    if len(folders) != 2:
        raise ConfigError(f"data is {len(folders)} paths, {WANTED}")
    missing = [folder.name for folder in folders if not folder.is_dir()]
    if missing:
        raise ConfigError(f"no folder '{missing[0]}'", hint=WANTED)
    return DataSpec(folders=Folders(*folders))


def simulated_data(seed: int, ct: str | Path | None, *, cached: bool = True) -> SimulatedData:
    """The simulator with procedural backgrounds, or with those of the labelled CT in folder `ct`.

    Rendered runs are kept in the user's data folder, or, not `cached`, rendered anew by every command.
    """
    kept = data_folder() / "simulated" if cached else None
    if ct is None:
        return SimulatedData(seed, ProceduralBackgrounds, "procedural", kept, log=silent)
    return SimulatedData(
        seed, partial(ct_backgrounds, Path(ct).resolve()), "ct", kept, ct_digest(Path(ct)), log=silent
    )


def data_folder() -> Path:
    """Where this program keeps data: ``CASGAN_DATA``, else the user's data folder."""
    return Path(os.environ.get("CASGAN_DATA") or platformdirs.user_data_dir("casgan-dicom"))


def load_domains(spec: DataSpec, settings: TrainSettings, log: Log = silent) -> Domains:
    """Render or read what to train on: all, but for the share `data.held_out` of a folder's groups.

    Simulated data holds nothing back: the simulator has runs of their own for evaluation. `log` hears what is
    passed over, and how far rendering is. Raises ConfigError when a domain is empty, a file is not what it
    should be, or the split leaves a side empty.
    """
    data, method = settings.data, method_class(settings.method)
    own_runs = method.posed or method.guided
    if spec.simulated is not None:
        simulated = replace(spec.simulated, log=log)
        labelled = _vessels_to_vary(simulated, settings)
        if own_runs:  # x is nobody's: the method has frames of its own
            y = angiograms(simulated, "y", data, settings.normalisation)
            return Domains(y, y, labelled)
        return Domains(*simulated_domains(simulated, data, settings.normalisation), labelled)
    if own_runs:
        raise _needs_simulator(settings)
    return Domains(
        **{
            domain: frame_set(
                one_side(series, domain, data, evaluation=False),
                settings.normalisation,
                data.frame_size,
                data.crop,
            )
            for domain, series in _read(spec, log).items()
        }
    )


def load_posed(spec: DataSpec, settings: TrainSettings, log: Log = silent) -> PosedRuns:
    """Render or read the posed runs that a method learns from; raises ConfigError for other data.

    Of the chests of a CT, which are all variants of one, every third is replaced by a made-up one.
    """
    if spec.simulated is None or not isinstance(settings.own, AtlasOptions):
        raise _needs_simulator(settings)
    wanted = settings.own.poses
    parts = chests(replace(spec.simulated, log=log), wanted.backgrounds)
    return join([posed_runs(data, replace(wanted, backgrounds=count)) for data, count in parts])


def load_guided(spec: DataSpec, settings: TrainSettings, log: Log = silent) -> GuidedRuns:
    """The same of guided pairs."""
    if spec.simulated is None or not isinstance(settings.own, GuidedOptions):
        raise _needs_simulator(settings)
    wanted = settings.own.poses
    parts = chests(replace(spec.simulated, log=log), wanted.backgrounds)
    return join([guided_runs(data, replace(wanted, backgrounds=count)) for data, count in parts])


def _vessels_to_vary(data: SimulatedData, settings: TrainSettings) -> FrameSet | None:
    """What a segmentor with runs of its own learns from: frames without contrast, twins and masks."""
    wanted = settings.segmentor
    if not wanted.runs or wanted.path:
        return None
    of_each = replace(settings.data, frames_per_run=VARIED_FRAMES)
    return join_frames(
        [
            pairs(chest, "segmentor", replace(of_each, runs=count), settings.normalisation)
            for chest, count in chests(data, wanted.runs)
        ]
    )


def chests(data: SimulatedData, backgrounds: int) -> list[tuple[SimulatedData, int]]:
    """Where so many backgrounds come from, and how many of each."""
    made_up = backgrounds // 3 if data.name == "ct" else 0
    parts = [(data, backgrounds - made_up)]
    if made_up:
        procedural = replace(data, backgrounds=ProceduralBackgrounds, name="procedural", anatomy="")
        parts.append((procedural, made_up))
    return parts


def _needs_simulator(settings: TrainSettings) -> ConfigError:
    return ConfigError(
        f"method '{settings.method}' learns where hearts and catheters lie, which only simulated data tells",
        hint="--data sim:1",
    )


def load_evaluation(spec: DataSpec, data: DataSettings, log: Log = silent) -> tuple[ReadAgain, ReadAgain]:
    """Give readers of what training with these settings on this `spec` never saw, as it lies in the files.

    With `data.held_out` 0 that is nothing: all frames are given, and must be others than the training's.
    The readers raise what `load_domains` raises; ConfigError for simulated data.
    """
    if spec.simulated is not None:
        raise ConfigError("simulated data holds nothing back", hint="evaluate renders runs of its own")
    say_once = cache(log)  # read again for every bundle

    def read(domain: str) -> Iterator[Frames]:
        series = one_side(_read(spec, say_once)[domain], domain, data, evaluation=True)
        return (one.frames for one in series)

    return partial(read, "x"), partial(read, "y")


def _read(spec: DataSpec, log: Log) -> dict[str, Iterator[Series]]:
    """Series of each domain, read one after the other as they are asked for."""
    if spec.xcad is not None:
        x, y = (read_frames(spec.xcad, folder) for folder in (BACKGROUNDS, ANGIOGRAMS))
        return {"x": x, "y": y, "labelled": read_labelled(spec.xcad)}
    folders = spec.folders
    assert folders is not None
    return {
        "x": _read_folder(folders.x, log, angiograms=False),
        "y": _read_folder(folders.y, log, angiograms=True),
    }


def _read_folder(folder: Path, log: Log, *, angiograms: bool) -> Iterator[Series]:
    any_read = False
    for series in read_images(folder):
        any_read = True
        yield series
    try:
        found = find_series([folder])
    except SeriesError as error:
        if any_read:
            return
        raise ConfigError(f"folder '{folder.name}' holds no PNG, NPY or DICOM frames") from error
    if found.damaged:
        log(f"{len(found.damaged)} damaged files of '{folder.name}' passed over")
    accepted, passed_over = _eligible(found, angiograms=angiograms)
    told = [f"{count} runs of '{folder.name}' passed over: {why}" for why, count in passed_over.items()]
    if not accepted and not any_read:
        raise ConfigError(f"nothing to train on: {'; '.join(told)}")
    for sentence in told:
        log(sentence)
    for cine in accepted:
        yield _read_cine(cine)


def _eligible(found: Found, *, angiograms: bool) -> tuple[list[Cine], Counter[str]]:
    """Cines that `convert` would take, contrast apart for angiograms; how many it would not, by reasons."""
    accepted: list[Cine] = []
    passed_over: Counter[str] = Counter()
    for series in found.series:
        of_all = reasons_against_series(series)
        for cine in series.cines:
            if reasons := (*of_all, *reasons_against(cine, angiogram=angiograms)):
                passed_over["; ".join(map(str, reasons))] += 1
            else:
                accepted.append(cine)
    return accepted, passed_over


def _read_cine(cine: Cine) -> Series:
    try:
        display = Display.of(cine)
        frames = np.stack([display.apply(k, stored) for k, stored in enumerate(iter_frames(cine))])
    except PixelError as error:
        raise PixelError(f"series {cine.series_uid}: {error.message}", hint=error.hint) from error
    return Series(frames, cine.series_uid, _patient(cine))


def _patient(cine: Cine) -> str:
    """Stand-in for Patient ID (0010,0020); all series without one count as one patient's."""
    return patient_key(str(cine.header.get("PatientID") or "").strip())
