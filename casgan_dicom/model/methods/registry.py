"""Methods by name: those of this package, and those that other packages bring.

Another package brings a method by an entry point of the group ``casgan_dicom.methods``, whose name is the
method's and whose value is ``module:Class``; its presets, ``METHOD-PRESET.toml``, lie in a folder ``presets``
beside that module.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from casgan_dicom.errors import ConfigError

if TYPE_CHECKING:
    from casgan_dicom.model.methods.base import Method

GROUP = "casgan_dicom.methods"
_HERE = "casgan_dicom.model.methods"

BUILT_IN = {
    "cyclegan": f"{_HERE}.cyclegan:CycleGan",
    "unit": f"{_HERE}.unit:Unit",
    "munit": f"{_HERE}.munit:Munit",
    "cut": f"{_HERE}.cut:Cut",
    "fastcut": f"{_HERE}.cut:FastCut",
    "attentiongan": f"{_HERE}.attentiongan:AttentionGan",
    "qs-attn": f"{_HERE}.qs_attn:QsAttn",
    "stegogan": f"{_HERE}.stegogan:StegoGan",
    "casgan": f"{_HERE}.casgan:CasGan",
    "segment-then-paint": f"{_HERE}.segment_then_paint:SegmentThenPaint",
    "unsb": f"{_HERE}.unsb:Unsb",
    "atlas": f"{_HERE}.atlas:Atlas",
    "casgan-atlas": f"{_HERE}.casgan_atlas:CasGanAtlas",
    "oracle": f"{_HERE}.oracle:Oracle",
}
"""Name of each method of this package and where it is, in the order of the paper's table."""


BY_PLAN = ("atlas", "casgan-atlas")
"""Of these, the ones whose `Method.drawer` draws by a plan of the whole run."""


def method_names() -> list[str]:
    """Names of all methods: the paper's order, what is ours, then those of other packages."""
    return [*BUILT_IN, *sorted(_brought())]


def method_class(name: str) -> type[Method]:
    """Find a method by its name.

    Raises
    ------
    ConfigError
        No method of that name, or another package's that cannot be imported or is none.
    """
    if name in BUILT_IN:
        module, _, cls = BUILT_IN[name].partition(":")
        found: object = getattr(importlib.import_module(module), cls)
    elif (entry := _brought().get(name)) is not None:
        found = _load(entry)
    else:
        raise ConfigError(f"no method '{name}'", hint=f"known methods: {', '.join(method_names())}")
    from casgan_dicom.model.methods.base import Method  # noqa: PLC0415 - torch; names do not need it

    if not (isinstance(found, type) and issubclass(found, Method)):
        raise ConfigError(f"method '{name}': {found!r} is no subclass of casgan_dicom's Method")
    return found


def may_draw_by_plan(name: str) -> bool:
    """Whether `Method.drawer` may give one; not for those of this package that draw each frame by itself."""
    return name not in BUILT_IN or name in BY_PLAN


def preset_folders() -> list[Traversable]:
    """Folders that hold presets: this package's, then one for each package that brings methods."""
    folders: list[Traversable] = [files("casgan_dicom.model") / "presets"]
    for entry in _brought().values():
        package = entry.module.rpartition(".")[0] or entry.module
        try:
            folder = files(package) / "presets"
        except (ImportError, TypeError):  # TypeError: a module that is no package, say a single file
            continue
        if folder.is_dir():
            folders.append(folder)
    return folders


def _brought() -> dict[str, EntryPoint]:
    """Entry points of other packages by name; a name of our own always means our own."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in BUILT_IN}


def _load(entry: EntryPoint) -> object:
    try:
        found: object = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"method '{entry.name}' of {entry.value} cannot be imported: {error}",
            hint="update or remove the package that brings it",
        ) from error
    return found
