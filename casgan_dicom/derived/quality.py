"""What is measured on each synthetic frame, for whoever has to judge the run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameQuality:
    """One converted frame."""

    frame: int
    """Its number in the source cine, from 1."""
    mean_attention: float | None
    """Mean of the attention map over the frame, 0 to 1; None for a method without one."""
    vessel_cover: float
    """Share of the visible pixels that are vessel in the synthetic frame: as drawn, or, for a method that
    does not know what it draws, as the segmentor sees it."""
    out_of_range: float
    """Share of pixels whose generated value lay outside what can be displayed and was clipped."""
    opacified: bool
    """Whether the source frame is taken for one that already showed opacified vessels."""
    opacified_probability: float | None = None
    """That it did, 0 to 1; None where nobody looked."""
    source_cover: float | None = None
    """Share of the visible pixels of the source frame that the segmentor takes for vessel; likewise."""
    domain_score: float | None = None
    """How far the source frame is from what the bundle was trained on: 0 usual, 1 the limit; None where it
    was not judged."""
