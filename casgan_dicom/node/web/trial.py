"""What rules would do with a file that somebody drops on the page: asked as the node asks, nothing is kept.

Headers alone are looked at: a rule that wants to see pixels is named as open. The pixels of a file from a
browser are decoded nowhere.
"""

from __future__ import annotations

from casgan_dicom.node.web import answers
from casgan_dicom.node.web.asked import Asked
from casgan_dicom.node.web.parameters import ADDRESS, CALLED, CALLING
from casgan_dicom.node.web.site import Site
from casgan_dicom.node.work.facts import Source
from casgan_dicom.node.work.trial import try_rules


def try_file(site: Site, asked: Asked) -> answers.Trial:
    """Say what would become of a file. Raises SeriesError if it is none of DICOM."""
    assert asked.file is not None
    called = asked.text(CALLED) or site.settings.listener.ae_title
    source = Source(asked.text(CALLING), called, asked.text(ADDRESS))
    tried = try_rules(site.settings, [asked.file], source, None)
    series = []
    for each in tried.trials:
        facts = each.as_json()
        lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
        series.append(answers.Tried(**facts | lists))
    return answers.Trial(tuple(series), dict(tried.passed_over))
