"""What several shipped bundles hold, kept once.

python -m docs.shelf    move equal files of the bundles in casgan_dicom/model/weights to weights/shared

To be run after a bundle was put there or taken away, or its card was written anew: what only one bundle holds
any more goes back to it. A bundle's config.json names a shared
file by its SHA-256, and its card links to it; `model/bundle/shelf.py` finds it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

from casgan_dicom.model.bundle.files import DOMAIN_NAME, ENGAGEMENT_NAME
from casgan_dicom.model.bundle.shelf import PICTURES_NAME, SEGMENTOR_NAME, SHARED
from casgan_dicom.model.methods.plain_atlas import LIBRARY_NAME

WEIGHTS = Path(__file__).resolve().parents[1] / "casgan_dicom" / "model" / "weights"
_MAY_BE_SHARED = (SEGMENTOR_NAME, PICTURES_NAME, LIBRARY_NAME, DOMAIN_NAME, ENGAGEMENT_NAME)


def share(weights: Path) -> None:
    """Move what two or more bundles in `weights` hold to weights/shared, and back what one holds alone.

    What none holds now is dropped there.
    """
    bundles = [config.parent for config in weights.glob("*/config.json")]
    held = {bundle / name: _digest(bundle, name) for bundle in bundles for name in _MAY_BE_SHARED}
    counts = Counter(held.values())
    for path, digest in held.items():
        shared = weights / SHARED / f"{digest}{path.suffix}"
        if digest and counts[digest] > 1:
            _move(path, shared)
        elif digest and shared.is_file():
            _give_back(shared, path)
    for path in (weights / SHARED).glob("*"):
        if path.stem not in held.values():
            path.unlink()


def _digest(bundle: Path, name: str) -> str:
    """SHA-256 of a file of a bundle, or of the shared one that it names; empty where it has neither."""
    if (bundle / name).is_file():
        return hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    return str(json.loads((bundle / "config.json").read_text(encoding="utf-8"))["sha256"].get(name, ""))


def _move(path: Path, shared: Path) -> None:
    """Move a bundle's file to `shared`, named by its digest, and tell config.json and card."""
    if not path.is_file():
        return
    shared.parent.mkdir(exist_ok=True)
    path.replace(shared)
    config = path.parent / "config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    told["sha256"][path.name] = shared.stem
    config.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    _relink(path.parent, path.name, f"../{SHARED}/{shared.name}")


def _give_back(shared: Path, path: Path) -> None:
    """Move a shared file to the one bundle that holds it, and tell its card."""
    if not path.is_file():
        shared.replace(path)
    _relink(path.parent, f"../{SHARED}/{shared.name}", path.name)


def _relink(bundle: Path, old: str, new: str) -> None:
    """Let the links of a bundle's card that lead to `old` lead to `new`."""
    card = bundle / "README.md"
    if card.is_file():
        text = card.read_text(encoding="utf-8")
        card.write_text(text.replace(f"]({old})", f"]({new})"), encoding="utf-8")


if __name__ == "__main__":
    share(WEIGHTS)
