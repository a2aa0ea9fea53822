"""What is answered to who looks: from the ledger, the settings and the disk, and nothing is changed by it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from casgan_dicom import __version__
from casgan_dicom.derived.review_reasons import REASONS
from casgan_dicom.model.bundle.shelf import shipped_bundles
from casgan_dicom.node.credentials import expiries
from casgan_dicom.node.state.health import worst
from casgan_dicom.node.state.job_pages import dead_letters, files_of, jobs_page, one_job
from casgan_dicom.node.state.overview import JobRow, list_quarantine
from casgan_dicom.node.state.reviews import Review
from casgan_dicom.node.web import answers
from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.deeds import deeds_of
from casgan_dicom.node.web.parameters import LIMIT, OFFSET, STATE
from casgan_dicom.node.web.refusal import ABSENT, RefusedError
from casgan_dicom.node.web.shelf import exhibit_of
from casgan_dicom.node.web.site import Site
from casgan_dicom.node.work.condition import wrong_with
from casgan_dicom.uids import shown_uid

_MOST_REMOVALS = 200


def myself(_site: Site, asked: Asked) -> answers.Self:
    """Who asks."""
    return answers.Self(asked.holder.name, asked.holder.role)


def status(site: Site, _asked: Asked) -> answers.Status:
    """What runs, what waits, and what is not as it should be."""
    found, now = site.status(), site.now()
    certificates = expiries(site.settings, now)
    wrong = wrong_with(site.settings, site.ledger, found, certificates, now)
    return answers.Status(
        version=__version__,
        phase=found.phase,
        check=worst(wrong).name,  # type: ignore[arg-type]  # the names of the levels
        findings=tuple(answers.Finding(each.level.name, each.text) for each in wrong),  # type: ignore[arg-type]
        processes=tuple(answers.Process(role, found.processes.get(role)) for role in site.processes),
        jobs=found.jobs,
        instances=found.instances,
        quarantined_instances=found.quarantined_instances,
        paused=found.paused,
        disk=_disk(site),
        certificates=tuple(answers.Certificate(each.key, each.days_left) for each in certificates),
        at=now,
    )


def jobs(site: Site, asked: Asked) -> answers.Jobs:
    """Jobs, those that changed last before others."""
    offset, limit = asked.number(OFFSET), asked.number(LIMIT)
    page = jobs_page(site.ledger, asked.choices(STATE), offset, limit, site.layout.work)
    return answers.Jobs(page.total, offset, tuple(map(job_answer, page.rows)))


def job(site: Site, asked: Asked) -> answers.JobDetail:
    """One job."""
    row = one_job(site.ledger, asked.path["job"], site.layout.work)
    files = files_of(site.ledger, asked.path["job"])
    if row is None or files is None:
        raise RefusedError(ABSENT, "there is no such job")
    made = tuple(
        answers.DerivedObject(e.sop_uid, e.sop_class_uid, e.series_uid, e.frames) for e in files.made
    )
    reviews = tuple(map(_review, row.reviews))
    return answers.JobDetail(job_answer(row), made, exhibit_of(files) is not None, reviews, tuple(REASONS))


def letters(site: Site, asked: Asked) -> answers.Letters:
    """Deliveries that were given up."""
    offset = asked.number(OFFSET)
    total, found = dead_letters(site.ledger, offset, asked.number(LIMIT))
    return answers.Letters(total, offset, tuple(answers.Letter(**vars(each)) for each in found))


def quarantine(site: Site, asked: Asked) -> answers.Quarantine:
    """Data sets that nothing could be made of."""
    found = list_quarantine(site.ledger, limit=asked.number(LIMIT))
    files = tuple(
        answers.Aside(e.path.name, shown_uid(e.sop_uid), e.reason, e.peer, e.address, e.at) for e in found
    )
    return answers.Quarantine(site.status().quarantined_instances, files)


def retention(site: Site, _asked: Asked) -> answers.Retention:
    """What is to be removed next, and why."""
    plan = site.plan()
    removals = tuple(
        answers.Removal(each.kind, Path(each.name).name, each.bytes, each.reason, each.at)
        for each in plan.removals[:_MOST_REMOVALS]
    )
    room = sum(each.bytes for each in plan.removals)
    count = len(plan.removals)
    return answers.Retention(site.keeps_everything, removals, count, room, plan.next_at, _disk(site))


def rules(site: Site, _asked: Asked) -> answers.Rules:
    """The rules in their order, and the bundles that a job may be converted with."""
    settings = site.settings
    everywhere = tuple(each.name for each in settings.destinations)
    found = []
    for each in settings.rules:
        places = everywhere if each.destinations is None else each.destinations
        found.append(answers.Rule(each.name, each.convert, places if each.convert else ()))
    return answers.Rules(tuple(found), bundles(site), settings.page.max_trial_bytes)


def bundles(site: Site) -> tuple[str, ...]:
    """What a job may be converted with through the page: shipped bundles, and those of the settings."""
    named = (site.settings.worker.bundle, *(each.bundle for each in site.settings.rules))
    return tuple(dict.fromkeys([*shipped_bundles(), *filter(None, named)]))


def job_answer(row: JobRow) -> answers.Job:
    """A job, as it is answered."""
    deliveries = (
        answers.Delivery(e.destination, e.state, e.attempts, e.reason, e.next_at) for e in row.deliveries
    )
    return answers.Job(
        job=row.job,
        series_uid=shown_uid(row.series_uid),
        revision=row.revision,
        priority=row.priority,
        state=row.state,
        reasons=row.reasons,
        peer=row.peer,
        instances=row.instances,
        frames=row.frames,
        repeats=row.repeats,
        bundle=Path(row.bundle).name,
        rule=row.rule,
        progress=_progress(row.progress),
        derived=len(row.derived),
        first_at=row.first_at,
        changed_at=row.changed_at,
        removed_at=row.removed_at,
        deliveries=tuple(deliveries),
        verdict=row.reviews[-1].verdict.outcome if row.reviews else "",
        may=deeds_of(row),
    )


def _review(review: Review) -> answers.Review:
    return answers.Review(
        number=review.number, **vars(review.verdict), at=review.at, record=review.record, why=review.why
    )


def _progress(text: str) -> answers.Progress | None:
    """Progress from words such as "generate 12/96"; None where they say none."""
    work, _, count = text.rpartition(" ")
    done, _, of = count.partition("/")
    with suppress(ValueError):
        return answers.Progress(work, int(done), int(of))
    return None


def _disk(site: Site) -> answers.Disk:
    found = site.status()
    return answers.Disk(
        free_bytes=found.free_bytes,
        spool_bytes=found.spool_bytes,
        outbox_bytes=found.outbox_bytes,
        quarantine_bytes=found.quarantine_bytes,
        excess_bytes=found.excess_bytes,
        refused_below_bytes=site.settings.listener.min_free_bytes,
    )
