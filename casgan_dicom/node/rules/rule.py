"""A rule whose conditions on headers are read, and the form of output that it asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from casgan_dicom.conversion.options import ConvertOptions, FrameChoice
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.rules.conditions import Condition, parse_condition
from casgan_dicom.node.settings import RuleSettings
from casgan_dicom.pixels.compress import Compression

_COMPRESSION = re.compile(r"(none|rle|jpegls|j2k|jpeg)(\d{1,3})?")


@dataclass(frozen=True)
class Rule:
    """A rule that can be held against a series. Raises ValueError or ConfigError where it means nothing."""

    settings: RuleSettings
    """As it was written."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.name

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Those on headers."""
        return tuple(map(parse_condition, self.settings.header))

    @cached_property
    def form(self) -> ConvertOptions:
        """The form of output that it asks for; the banner is always on."""
        wanted = self.settings
        return ConvertOptions(
            frames=FrameChoice(wanted.frames),
            bits=wanted.bits,  # type: ignore[arg-type]  # judged by ConvertOptions
            single_frames=wanted.single_frame,
            compression=_compression(wanted.compression),
            maps=wanted.maps,
            seg=wanted.seg,
            sr=wanted.sr,
        )

    @property
    def needs_pixels(self) -> bool:
        """Whether headers alone do not tell if it holds."""
        wanted = self.settings
        return bool(wanted.opacified) or wanted.score_below is not None or wanted.score_from is not None


def rules_of(settings: Sequence[RuleSettings]) -> tuple[Rule, ...]:
    """Rules that were found to make sense, in their order."""
    return tuple(map(Rule, settings))


def form_text(form: ConvertOptions) -> str:
    """A form of output in a few words, the same for the same form: ``mf-gray8`` is the plain one."""
    compression, more = form.compression, [name for name in ("maps", "seg", "sr") if getattr(form, name)]
    if compression.name != "none":
        more.insert(0, f"{compression.name}{compression.quality or ''}")
    if form.frames.text != "all":
        more.append(f"frames {form.frames.text}")
    return " ".join([f"{'sf' if form.single_frames else 'mf'}-gray{form.bits}", *more])


def _compression(text: str) -> Compression:
    match = _COMPRESSION.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"compression is '{text}', want none, rle, jpegls, j2k, or jpeg90 for a quality of 90"
        )
    return Compression(match[1], int(match[2]) if match[2] else None)  # type: ignore[arg-type]  # one of them
