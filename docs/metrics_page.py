"""The page of what a node can be measured by, written by the code that measures."""

from __future__ import annotations

import re

from casgan_dicom.node.web.metric_names import METRICS, Metric

_BLOCK = re.compile(r"(<!-- table: metrics -->\n).*?(<!-- end -->)", re.DOTALL)


def page(present: str) -> str:
    """The page with its table as it is now; ValueError if it has no place for it."""
    if len(_BLOCK.findall(present)) != 1:
        raise ValueError("the page of metrics has no single place for the table 'metrics'")
    lines = ["| name | kind | labels | what it tells |", "|---|---|---|---|", *map(_line, METRICS)]
    table = "\n".join(lines)
    return _BLOCK.sub(lambda block: f"{block[1]}\n{table}\n\n{block[2]}", present)


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    bounds = f" Bounds: {', '.join(f'{bound:g}' for bound in metric.bounds)}." if metric.bounds else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text}{bounds} |"
