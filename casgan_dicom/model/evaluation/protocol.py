"""How an evaluation is done: how many frames of how many simulated patients, and the sizes of its judges."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.model.settings import DataSettings, NormalisationSettings

NORMALISATION = NormalisationSettings()
"""Of the evaluation's own networks, whatever a generator uses."""


@dataclass(frozen=True)
class Protocol:
    """How the evaluation is done."""

    runs: int = 30
    """Held-out runs; as many others for each of the two sets of real angiograms."""
    frames_per_run: int = 4
    """Frames of each."""
    cue: float = 1.0
    """Trace of the arteries in the input, as a multiple of the physical one."""
    frame_size: int = 256
    """Rows and columns of a frame."""
    cines: int = 4
    """Of the held-out runs, how many are also seen as a short cine, for flicker; 0: none."""
    cine_frames: int = 8
    """Consecutive frames of each of these, 15 a second."""
    training_runs: int = 100
    """Runs that the segmentor and the oracle are trained on, each its own."""
    crop: int = 160
    """Crop that the segmentor is trained on, px of 256; the oracle sees whole frames, because where a vessel
    runs is a question of the whole heart."""
    segmentor_base: int = 24
    """Width of the segmentor's U-Net."""
    oracle_base: int = 16
    """Width of the oracle's U-Net."""
    steps: int = 600
    """Training steps of the segmentor, four crops each; the oracle takes twice as many, of two frames."""

    def data(self, runs: int, frames_per_run: int | None = None) -> DataSettings:
        """Data settings for so many runs."""
        return DataSettings(
            runs=runs,
            frames_per_run=frames_per_run or self.frames_per_run,
            frame_size=self.frame_size,
            crop=self.crop,
            flip=False,
            cue=self.cue,
        )
