"""The benchmarks that are shipped, by name; what a plan says is read in ``benchmark.py``."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable


def plan_names() -> list[str]:
    """Names of the shipped plans, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))


def plan_text(name: str) -> str:
    """The TOML of a shipped plan."""
    return (_folder() / f"{name}.toml").read_text("utf-8")


def _folder() -> Traversable:
    return resources.files("casgan_dicom.model") / "benchmarks"
