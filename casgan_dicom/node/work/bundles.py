"""Who makes the frames on a device: our own bundle, and a few that rules or a person name, kept loaded."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from casgan_dicom.node.settings import WorkerSettings
from casgan_dicom.node.work.recipe import recipe_of

if TYPE_CHECKING:
    from casgan_dicom.model.generator import Generator

OTHERS_KEPT = 3
"""Bundles besides our own that stay loaded: those that were used last."""


class Bundles:
    """The bundles of one device.

    Parameters
    ----------
    settings
        Which is our own, and what runs the networks.
    device
        Where they run.
    """

    def __init__(self, settings: WorkerSettings, device: str) -> None:
        self._settings = settings
        self._device = device
        self._own = cache(lambda: self._loaded(settings.bundle))
        self._other = lru_cache(maxsize=OTHERS_KEPT)(lambda bundle, _recipe: self._loaded(bundle))

    def load(self, bundle: str = "") -> Generator:
        """The generator of a bundle, empty for our own; loaded anew where its weights have changed.

        Raises WeightsError or ConfigError if the bundle or the device is not there.
        """
        return self._other(bundle, recipe_of(self._settings, bundle)) if bundle else self._own()

    def _loaded(self, bundle: str) -> Generator:
        # Imported here: torch takes over a second, and who imports this module may want only its names.
        from casgan_dicom.model.generator import Generator  # noqa: PLC0415

        engine = self._settings.engine
        return Generator.load(bundle, device=self._device, engine=engine)  # type: ignore[arg-type]
