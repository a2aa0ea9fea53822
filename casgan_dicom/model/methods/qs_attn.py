"""QS-Attn, query-selected attention for contrastive learning (Hu et al., CVPR 2022).

CUT with another choice of patches. On the layers at a quarter of the size the source's features F attend to
each other, S = softmax(F Fᵀ), and the rows of S with the lowest entropy are kept, A_qs: places that know what
they belong to. A patch is A_qs·F, and the same A_qs routes the features of the drawn image. Nothing is
trained for it. The layers before choose their patches as CUT does.

Two readings are ours where the description leaves room: A_qs is a constant (no gradient reaches the source
through it), and "local_global" chooses places by the local and routes by the global attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from casgan_dicom.model.methods.base import own_options
from casgan_dicom.model.methods.cut import Cut, NceOptions
from casgan_dicom.model.methods.patchnce import SamplerKind
from casgan_dicom.model.settings import Options, TrainSettings

QsMode = Literal["global", "local", "local_global"]

_SAMPLERS: dict[QsMode, SamplerKind] = {
    "global": "qs-global",
    "local": "qs-local",
    "local_global": "qs-local-global",
}


@dataclass(frozen=True)
class QsOptions(NceOptions):
    """The contrastive terms, and how the patches of the residual blocks are chosen."""

    mode: QsMode = "global"
    """Attention of every place on all places, on the 7 × 7 around it, or chosen by the one and routed by the
    other."""


class QsAttn(Cut):
    """QS-Attn: CUT with query-selected attention on the residual blocks."""

    title: ClassVar[str] = "QS-Attn (Hu et al., CVPR 2022)"
    table: ClassVar[str] = "qs"
    options_type: ClassVar[type[Options]] = QsOptions

    def sampler(self, layer: str) -> SamplerKind:
        """Rows of lowest entropy on residual blocks, random places on the layers before."""
        return _SAMPLERS[qs_options(self.settings).mode] if layer.startswith("block") else "random"


def qs_options(settings: TrainSettings) -> QsOptions:
    """The method's own table; raises TypeError for settings of another method."""
    return own_options(settings, QsOptions, "[qs]")
