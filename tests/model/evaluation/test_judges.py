"""The networks that the evaluation has for itself."""

from __future__ import annotations

import numpy as np
import torch

from casgan_dicom.model.evaluation.judges import find_vessels
from casgan_dicom.model.networks.unet import UNet


def test_vessels_are_found_by_what_the_segmentor_marks() -> None:
    net = UNet(4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.head.bias = torch.nn.Parameter(torch.ones(1))
    frames = np.random.default_rng(0).random((5, 32, 32), dtype=np.float32)
    assert find_vessels(net.eval(), frames).all()
