"""A repeated table as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from georclip.evaluation.protocols import Protocol
from georclip.evaluation.published import SOURCE, TEST_IMAGES, TOLERANCE, Repetition, Verdict
from georclip.evaluation.reporting import recalls_json


def repetition_json(rows: Sequence[Repetition], verdict: Verdict) -> dict[str, Any]:
    """Published and measured figures, for `json.dumps`: percentages."""
    return {
        "published": SOURCE,
        "protocol": Protocol.A.value,
        "tolerance": TOLERANCE,
        "rows": [
            {
                "model": row.model,
                "dataset": row.dataset,
                "activation": row.activation,
                "images": row.figures.images,
                "texts": row.figures.texts,
                **recalls_json(row.figures.recalls),
                "ceiling": recalls_json(row.figures.ceiling),
                "published_mean_recall": row.published,
                "difference": row.difference,
            }
            for row in rows
        ],
        "activation_needed": verdict.activation,
        "verdict": verdict.reason,
    }


def repetition_table(rows: Sequence[Repetition], verdict: Verdict) -> str:
    """Published and measured figures side by side, for people; ends in a line break."""
    lines = [
        f"mean recall by protocol {Protocol.A.description}, published: {SOURCE}",
        "",
        f"{'model':<21}{'data':<8}{'images':>7}  {'activation':<11}{'published':>10}"
        f"{'measured':>10}{'difference':>12}{'at most':>9}",
    ]
    lines += [_line(row) for row in rows]
    lines += [
        _reason(dataset)
        for dataset in dict.fromkeys(row.dataset for row in rows if not row.same_images)
    ]
    return "\n".join([*lines, "", verdict.reason]) + "\n"


def _reason(dataset: str) -> str:
    """Why a data set's figures are not compared."""
    if dataset not in TEST_IMAGES:
        return f"{dataset}: nobody here knows how many images were published over: not comparable"
    return (
        f"{dataset}: published over {TEST_IMAGES[dataset]} images, another number here: "
        "not comparable"
    )


def _line(row: Repetition) -> str:
    published = "-" if row.published is None else f"{row.published:.2f}"
    difference = "-" if row.difference is None else f"{row.difference:+.2f}"
    return (
        f"{row.model:<21}{row.dataset:<8}{row.figures.images:>7}  {row.activation:<11}"
        f"{published:>10}{row.measured:>10.2f}{difference:>12}{row.figures.ceiling.mean:>9.2f}"
    )
