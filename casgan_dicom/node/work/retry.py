"""When a delivery that failed is tried again. A pure function of what was tried, with chance passed in."""

from __future__ import annotations

from casgan_dicom.node.settings import RetrySettings


def retry_wait(attempts: int, elapsed: float, rules: RetrySettings, jitter: float) -> float | None:
    """How long to wait before the next attempt.

    Parameters
    ----------
    attempts
        Attempts made, at least 1.
    elapsed
        Seconds since the first of them.
    rules
        First and longest wait, and when to give up.
    jitter
        In [0, 1): 0 halves the wait, 1 leaves it. Spreads nodes that lost the same archive.

    Returns
    -------
    float or None
        Seconds; None to give up.
    """
    if elapsed >= rules.give_up_seconds:
        return None
    wait = min(rules.first_seconds * 2.0 ** min(attempts - 1, 60), rules.longest_seconds)
    return min(wait * (0.5 + 0.5 * jitter), rules.give_up_seconds - elapsed)
