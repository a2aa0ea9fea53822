"""Going on from a bundle: training that begins with the networks of an earlier one."""

from __future__ import annotations

from torch import nn

from casgan_dicom.errors import WeightsError
from casgan_dicom.model.bundle.bundle import is_simulated, load_bundle


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


def start_told(bundle: str, data: str) -> tuple[str, bool]:
    """What the first weights are, one sentence, and whether they were trained on simulated data only.

    What they were trained on is said where it is not `data`, the sentence about this training's.
    """
    info, steps = (found := load_bundle(bundle)).info, found.settings.optim.steps
    other = "" if info.data == data else f", trained on: {info.data.rstrip('.')}"
    weights = f"weights {info.weights_sha256[:12]}"
    return f"Begun from '{info.name}' after {steps} steps ({weights}){other}.", is_simulated(info.data)
