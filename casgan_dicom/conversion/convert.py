"""``casgan_dicom.convert``: the pipeline as Python calls it, with a bundle by its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.conversion.pipeline import Loader, convert_series
from casgan_dicom.conversion.report import ConvertReport
from casgan_dicom.conversion.task import Progress, silent
from casgan_dicom.errors import ConfigError
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.source.paths import OnePath, Paths, as_path, as_paths

if TYPE_CHECKING:
    from casgan_dicom.model.generator import EngineName, Generator


def convert(
    paths: Paths,
    *,
    out: OnePath,
    bundle: OnePath | Generator = DEFAULT_BUNDLE,
    options: ConvertOptions | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> ConvertReport:
    """Make synthetic angiograms of every X-ray cine that may be converted; for research, not for diagnosis.

    Parameters
    ----------
    paths
        A file or folder, or several; only read. Folders are searched with all their sub-folders.
    out
        Folder of the output; made if it is not there. Objects go to ``<series uid>/<sop uid>.dcm``, the
        report to ``report.json``, contact sheets to ``<series uid>.png``.
    bundle
        Name of a shipped bundle, folder of any, or a `Generator`: one that serves several calls, or runs on
        an engine of the caller's choice.
    options
        Which frames, in which form, with what beside them.
    device
        Where a bundle is loaded: "auto" (CUDA when there is one), "cpu", "cuda" or "cuda:N".
    progress
        Told of every step.

    Returns
    -------
    ConvertReport
        Every output, and every cine that was skipped with its reasons; one that is skipped is no exception.

    Raises
    ------
    ConfigError
        A path is missing or empty, the bundle or the options are of another kind, or the device is not there.
    SeriesError
        A path is not there, or there is no DICOM file at all.
    WeightsError
        The bundle is unknown or damaged; nothing is written then.
    OutputError
        The output cannot be written, or would be written into the input.
    """
    options = ConvertOptions() if options is None else options
    if not isinstance(options, ConvertOptions):
        raise ConfigError(f"options is {options!r}, want ConvertOptions")
    return convert_series(as_paths(paths), _loader(bundle, device), options, as_path(out), progress=progress)


def loader_of(bundle: OnePath, device: str = "auto", engine: EngineName = "auto") -> Loader:
    """Give a function that loads a bundle: called once there is something to convert, or never."""

    def load() -> Generator:
        # Imported here: torch takes over a second, which a mistake in the paths need not wait for.
        from casgan_dicom.model.generator import Generator  # noqa: PLC0415

        return Generator.load(bundle, device=device, engine=engine)

    return load


def _loader(bundle: OnePath | Generator, device: str) -> Loader:
    """Give the loader of a named bundle, or of the caller's own generator; ConfigError for neither."""
    if isinstance(bundle, str | os.PathLike):  # a text stays one: "./casgan" is a folder, "casgan" a name
        return loader_of(bundle if isinstance(bundle, str) else as_path(bundle), device)
    if not callable(bundle):
        raise ConfigError(f"bundle is {bundle!r}, want a name, a folder or a Generator")
    return _keeps(bundle, device)


def _keeps(generator: Generator, device: str) -> Loader:
    """Give a function that gives the caller's own generator; ConfigError if a device is asked for as well."""
    if device != "auto":
        raise ConfigError(
            f"device is '{device}', and the generator that was given runs on {generator.device} already",
            hint="choose the device in Generator.load, or give the bundle's name",
        )
    return lambda: generator
