"""What somebody with the role act may change: as the commands of `casgan-dicom node` do, and audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from casgan_dicom.node.state.deliveries import Deliveries
from casgan_dicom.node.state.jobs import JobList
from casgan_dicom.node.state.orders import Orders
from casgan_dicom.node.state.pauses import Pause, Pauses, What
from casgan_dicom.node.state.reviews import Reviews, Verdict
from casgan_dicom.node.web import answers
from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.deeds import WAITING
from casgan_dicom.node.web.looks import bundles
from casgan_dicom.node.web.refusal import ABSENT, BAD, CONFLICT, RefusedError
from casgan_dicom.node.web.site import Site
from casgan_dicom.node.work.repeating import check_kept, repeat_with


def retry(site: Site, asked: Asked) -> answers.Done:
    """Try a job again that ended badly."""
    job, _ = _job(site, asked)
    return _again(site, asked, [job], f"retry job {job}")


def retry_letters(site: Site, asked: Asked) -> answers.Done:
    """Send every dead letter again."""
    sending = Deliveries(site.ledger).retry([], site.now())
    return _done(site, asked, [each.job for each in sending], "retry all dead letters")


def cancel(site: Site, asked: Asked) -> answers.Done:
    """End a job that is not done."""
    job, state = _job(site, asked)
    ended = Orders(site.ledger).cancel([job], site.now())
    if not ended:
        raise RefusedError(CONFLICT, f"job {job} is {state}: nothing to cancel")
    return _done(site, asked, ended, f"cancel job {job}")


def prioritise(site: Site, asked: Asked) -> answers.Done:
    """Say how urgent a job is."""
    job, state = _job(site, asked)
    if state not in WAITING:
        raise RefusedError(CONFLICT, f"job {job} is {state}: it is not converted any more")
    wanted = cast(answers.NewPriority, asked.body).priority
    Orders(site.ledger).prioritise([job], wanted)
    return _done(site, asked, [job], f"priority {wanted} for job {job}")


def convert(site: Site, asked: Asked) -> answers.Done:
    """Convert the instances of a job once more, with a bundle that is shipped or in the settings."""
    job, state = _job(site, asked)
    body = cast(answers.Again, asked.body)
    if body.bundle not in bundles(site):
        raise RefusedError(BAD, "there is no such bundle", f"known: {', '.join(bundles(site))}")
    how = repeat_with(site.settings, body.bundle, body.priority)
    check_kept(site.ledger, job, state, how, site.now())
    made = Orders(site.ledger).repeat(job, how, site.now())
    return _done(site, asked, [made], f"convert job {job} again, as job {made}")


def review(site: Site, asked: Asked) -> answers.Done:
    """Accept or reject what a job made, under the name of the token."""
    job, _ = _job(site, asked)
    body = cast(answers.NewReview, asked.body)
    verdict = Verdict(body.outcome, body.reason, body.text, asked.holder.name)
    is_new = Reviews(site.ledger, site.audit).decide(job, verdict, site.now())
    reason = f" ({body.reason})" if body.reason else ""
    return _done(site, asked, [job] if is_new else [], f"job {job} {body.outcome}{reason}")


def pause_destination(site: Site, asked: Asked) -> answers.Done:
    """Send nothing more to a destination until it is resumed."""
    return _pause(site, asked, "send")


def resume_destination(site: Site, asked: Asked) -> answers.Done:
    """Let go on what goes to a destination."""
    return _resume(site, asked, "send")


def pause_device(site: Site, asked: Asked) -> answers.Done:
    """Convert nothing more on a device until it is resumed."""
    return _pause(site, asked, "convert")


def resume_device(site: Site, asked: Asked) -> answers.Done:
    """Let the conversions of a device go on."""
    return _resume(site, asked, "convert")


def _pause(site: Site, asked: Asked, what: What) -> answers.Done:
    wanted = _named(site, asked, what)
    Pauses(site.ledger).begin([wanted], site.now())
    return _done(site, asked, [wanted.name], f"pause {wanted}")


def _resume(site: Site, asked: Asked, what: What) -> answers.Done:
    wanted = _named(site, asked, what)
    ended = Pauses(site.ledger).end([wanted])
    return _done(site, asked, [each.name for each in ended], f"resume {wanted}")


def _named(site: Site, asked: Asked, what: What) -> Pause:
    """The pause that is meant. Raises RefusedError for a name that is neither configured nor paused."""
    found = Pause(what, asked.path["name"])
    settings = site.settings
    configured = [each.name for each in settings.destinations] if what == "send" else settings.worker.devices
    if found.name not in configured and not Pauses(site.ledger).holds(found):
        raise RefusedError(ABSENT, "there is none of that name", f"known: {', '.join(configured) or 'none'}")
    return found


def _job(site: Site, asked: Asked) -> tuple[str, str]:
    """A job and its state. Raises RefusedError if there is none."""
    job = asked.path["job"]
    state = Orders(site.ledger).states([job]).get(job)
    if state is None:
        raise RefusedError(ABSENT, "there is no such job")
    return job, state


def _again(site: Site, asked: Asked, jobs: Sequence[str], what: str) -> answers.Done:
    converting = JobList(site.ledger).retry(jobs, site.now())
    sending = Deliveries(site.ledger).retry(jobs, site.now())
    reviews = Reviews(site.ledger).retry(jobs)
    changed = list(dict.fromkeys([*converting, *(each.job for each in sending), *reviews]))
    if not changed:
        raise RefusedError(CONFLICT, "nothing to try again")
    return _done(site, asked, changed, what)


def _done(site: Site, asked: Asked, changed: Sequence[str], what: str) -> answers.Done:
    """Tell the audit trail, and the node."""
    site.audit.acted(asked.holder.name, asked.address, what)
    site.wake()
    return answers.Done(tuple(changed))
