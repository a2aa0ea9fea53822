"""What becomes of a job: by its rules, and by a person, who goes before them."""

from __future__ import annotations

from dataclasses import dataclass

from casgan_dicom.conversion.options import ConvertOptions
from casgan_dicom.node.rules.rule import form_text
from casgan_dicom.node.settings import NodeSettings
from casgan_dicom.node.state.job_inputs import Inputs
from casgan_dicom.node.work.facts import Source
from casgan_dicom.node.work.recipe import recipe_of
from casgan_dicom.node.work.routing import (
    NO_RULE,
    Becoming,
    Decision,
    Judge,
    becoming,
    decide_series,
)
from casgan_dicom.source.series import find_series


@dataclass(frozen=True)
class Decided:
    """What was decided about a job."""

    decision: Decision
    """Which rule holds, and why."""
    becomes: Becoming
    """What becomes of the job."""
    recipe: str
    """By what it is made, see `receipts.job_id`; empty if it is not."""

    @property
    def why_kept(self) -> list[str]:
        """Why it is kept."""
        if self.decision.rule is not None:
            return [f"rule '{self.decision.name}' keeps it: not converted"]
        return [NO_RULE, *map(str, self.decision.passed_over)]


def decision_about(settings: NodeSettings, inputs: Inputs, judge: Judge | None) -> Decision:
    """Which rule decides about a job; without `judge` by headers only, see `decide_series`.

    Raises SeriesError where nothing of it can be read.
    """
    source = Source(inputs.calling, inputs.called or None, inputs.address or None)
    return decide_series(settings, find_series(inputs.paths).cines, source, judge)


def decided_about(settings: NodeSettings, inputs: Inputs, judge: Judge) -> Decided:
    """Decide about a job. Raises SeriesError where nothing of it can be read.

    What a person starts by hand is converted in any case: in the plain form where he names a bundle or no
    rule wants it converted, and to where its rule sends it. Where none does, it stays in the outbox.
    """
    decision = decision_about(settings, inputs, judge) if settings.rules else Decision(None)
    becomes = becoming(settings, None if decision.rule is None else decision.rule.settings)
    if inputs.bundle or (inputs.by_hand and not becomes.convert):
        mode, plain = settings.worker.mode, ConvertOptions()
        becomes = Becoming(
            convert=True, bundle=inputs.bundle, mode=mode, form=plain, destinations=becomes.destinations
        )
    if not becomes.convert:
        return Decided(decision, becomes, "")
    form = form_text(becomes.form)
    return Decided(
        decision, becomes, recipe_of(settings.worker, becomes.bundle, form=form, mode=becomes.mode)
    )
