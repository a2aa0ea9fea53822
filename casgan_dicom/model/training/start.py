"""Going on from a bundle: training that begins with the networks of an earlier one."""

from __future__ import annotations

from torch import nn

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.bundle import load_bundle


def start_from(nets: nn.ModuleDict, bundle: str) -> None:
    """Fill networks with those of the same names in a bundle, by its name or folder; others stay as they are.

    Raises WeightsError where the bundle cannot be read, or where its networks are not of the same kind and
    size.
    """
    found = load_bundle(bundle)
    for name, net in found.generators.items():
        try:
            nets[name].load_state_dict(net.state_dict())
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"net.start: bundle '{found.info.name}' of method '{found.info.method}' has a network"
                f" '{name}' that this training has not, or of another size",
                hint="start from a bundle of the same method, with the same [net] and the method's own table",
            ) from error


def start_text(bundle: str) -> str:
    """What the first weights are and were trained on, one sentence; "Simulated …" only if all of it was."""
    found = load_bundle(bundle)
    name, steps = found.info.name, found.settings.optim.steps
    return f"{found.info.data} ({steps} steps as '{name}', weights {found.info.weights_sha256[:12]})."
