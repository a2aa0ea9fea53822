"""Where bundles lie and what their config.json says, without loading a network.

The file format is that of ``bundle.py``. Nothing here imports torch: who only wants to know which weights a
name stands for should not wait for it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from importlib import resources
from pathlib import Path
from typing import Any

from casgan_dicom.errors import WeightsError

SCHEMA = 2
"""What is written."""
SCHEMAS = (1, SCHEMA)
"""What is read; ``bundle.py`` says what each holds."""
SEGMENTOR_NAME = "segmentor.safetensors"
"""File of the segmentor, in bundles and in run folders."""
PICTURES_NAME = "pictures.png"
"""Page of pictures that the card of a bundle shows."""
SHARED = "shared"
"""Folder among the shipped bundles: what several of them hold, once, each file named by its SHA-256."""
SMALLEST_SIZE, LARGEST_SIZE, SIZE_STEP = 32, 2048, 4
"""The networks halve rows and columns twice."""
CONFIG_BYTES = 2**20
"""Most that a config.json may hold: those of the methods here have some thousand bytes."""
TEXT_LENGTHS = {"name": 64, "method": 64, "version": 64, "licence": 64, "data": 4096}
"""Most characters of the texts of a config.json: they go into headers, reports and terminals."""
RETIRED = ("casgan-desk-paired",)
"""Names of bundles that were shipped once: nothing else may pass for them."""
ALIASES = {"atlas": "atlas-desk", "casgan": "casgan-desk", "casgan-atlas": "casgan-atlas-desk"}
"""Short names; "atlas" is what `convert` uses when nothing else is asked for."""
DEFAULT_BUNDLE = "atlas"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Name of a file in the folder itself: nothing above or below it."""


def shipped_bundles() -> list[str]:
    """Names of the bundles inside the package."""
    if not (folder := _shelf()).is_dir():
        return []
    return sorted(f.name for f in folder.iterdir() if (f / "config.json").is_file())


def bundle_folder(bundle: str | Path) -> Path:
    """Find a shipped bundle by name, or any by path; raises WeightsError."""
    name = ALIASES.get(str(bundle), str(bundle))
    if name in shipped_bundles():
        return _shelf() / name
    if (Path(bundle) / "config.json").is_file():
        return Path(bundle)
    raise WeightsError(
        f"bundle '{Path(bundle).name}': neither a shipped bundle nor a folder with config.json",
        hint=f"shipped: {', '.join([*ALIASES, *shipped_bundles()])}",
    )


def bundle_file(folder: Path, name: str) -> Path:
    """Find a file of the bundle in `folder`: its own, or the shared one whose SHA-256 its config.json says.

    So a shipped bundle may be copied elsewhere, and is complete as long as the package is installed. Where
    there is neither, it is the path of its own. Raises WeightsError if config.json cannot be read.
    """
    own = folder / name
    if own.is_file():
        return own
    wanted = f"{read_config(folder)['sha256'].get(name)}{own.suffix}"
    shared = _shelf() / SHARED
    return next((file for file in shared.glob("*") if file.name == wanted), own)


def _shelf() -> Path:
    """The folder of the shipped bundles."""
    return Path(str(resources.files("casgan_dicom.model") / "weights"))


def read_config(folder: Path) -> dict[str, Any]:
    """Read the config.json of a bundle and check its keys and types; raises WeightsError."""
    path = folder / "config.json"
    try:
        if (length := path.stat().st_size) > CONFIG_BYTES:
            raise ValueError(f"it has {length} bytes, at most {CONFIG_BYTES} are read")
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"bundle '{folder.name}': config.json cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise WeightsError(f"bundle '{folder.name}': config.json holds no JSON object")
    found = config.get("schema")
    if type(found) is not int or found not in SCHEMAS:
        known = " and ".join(map(str, SCHEMAS))
        raise WeightsError(
            f"bundle '{folder.name}': config.json has schema {found!r}, this version reads {known}"
        )
    _check_entries(folder, config)
    _check_name(folder, config)
    return config


def passes_for_shipped(name: str) -> bool:
    """Whether a name is that of a bundle that is or was shipped, or looks like one.

    Large and small letters, the signs between words and other forms of the same letters make no other name.
    """
    plain = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", name).casefold()).strip("-")
    return plain in (*ALIASES, *RETIRED, *shipped_bundles())


def _check_name(folder: Path, config: dict[str, Any]) -> None:
    """Refuse what calls itself a shipped bundle and is another; raises WeightsError.

    What made a picture stands in its header by this name, so nobody may take it.
    """
    name = config["name"]
    own = _shelf() / name
    if folder.resolve() == own.resolve() or not passes_for_shipped(name):
        return
    if name in shipped_bundles() and config == json.loads((own / "config.json").read_text(encoding="utf-8")):
        return  # a copy
    raise WeightsError(
        f"bundle '{folder.name}': calls itself '{name}', a name of a shipped bundle, and is another",
        hint="its config.json was changed, or the bundle is of another version: give it a name of its own",
    )


def _check_entries(folder: Path, config: dict[str, Any]) -> None:
    """Check the keys and types of a config.json of a known schema; raises WeightsError."""
    wanted = ("name", "method", "version", "size", "data", "licence", "settings", "sha256")
    missing = [key for key in wanted if key not in config]
    if missing:
        raise WeightsError(f"bundle '{folder.name}': config.json lacks {', '.join(missing)}")
    kinds = {**dict.fromkeys(wanted, str), "size": int, "settings": dict, "sha256": dict, "simulator": int}
    kinds["segmentor_size"] = int
    wrong = [
        f"{key} is no {kind.__name__}"
        for key, kind in kinds.items()
        if key in config and type(config[key]) is not kind
    ]
    wrong += [
        f"sha256 names '{name}', which is no file of a bundle"
        for name in (config["sha256"] if isinstance(config["sha256"], dict) else ())
        if _FILE.fullmatch(name) is None
    ]
    sizes = {} if wrong else {key: config[key] for key in ("size", "segmentor_size") if key in config}
    wrong += [
        f"{key} is {size}, want a multiple of {SIZE_STEP} from {SMALLEST_SIZE} to {LARGEST_SIZE}"
        for key, size in sizes.items()
        if not SMALLEST_SIZE <= size <= LARGEST_SIZE or size % SIZE_STEP
    ]
    for entry, most in TEXT_LENGTHS.items():
        text = config.get(entry)
        if isinstance(text, str) and (len(text) > most or not text.isprintable()):
            wrong.append(f"{entry} has {len(text)} characters, want at most {most}, all of them printable")
    if wrong:
        raise WeightsError(f"bundle '{folder.name}': in config.json {', '.join(wrong)}")


def weights_digest(bundle: str | Path) -> str:
    """SHA-256 of the translating networks of a bundle, as its config.json says; raises WeightsError."""
    folder = bundle_folder(bundle)
    digest = read_config(folder)["sha256"].get("model.safetensors")
    if not isinstance(digest, str):
        raise WeightsError(f"bundle '{folder.name}': config.json holds no SHA-256 of model.safetensors")
    return digest
