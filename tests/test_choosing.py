from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from georclip.training.checkpoint import EpochRecord
from georclip.training.choosing import is_best, is_time_to_stop, kept_epoch
from georclip.training.settings import TrainSettings
from georclip.training.validation import Figures, headline

RECALLS = st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=12)


def figures(recall, precision=None, *, classes=("a",), source="rsicd"):
    return Figures(
        source=source,
        images=10,
        precision_at_10=precision,
        mean_recall=float(recall),
        zero_shot=None,
        per_class=dict.fromkeys(classes, precision) if precision is not None else {},
    )


def run_of(recalls):
    """A history, None where an epoch was not measured."""
    return [
        EpochRecord(
            epoch=number,
            view_size_px=32,
            loss=1.0,
            seconds=1.0,
            images_per_s=1.0,
            figures=() if recall is None else (figures(recall),),
        )
        for number, recall in enumerate(recalls, start=1)
    ]


def test_recall_is_the_mean_over_files_and_precision_the_mean_over_classes():
    both = [
        figures(20.0, 0.5, classes=("a", "b", "c")),
        figures(60.0, 0.9, classes=("d",), source="ucm"),
    ]
    assert headline(both) == headline(both, "recall") == pytest.approx(0.4)
    assert headline(both, "precision") == pytest.approx((3 * 0.5 + 0.9) / 4)
    assert headline([figures(20.0)], "precision") == pytest.approx(0.2)  # no classes


@given(RECALLS)
def test_what_is_kept_is_what_was_written_last(recalls):
    history = run_of(recalls)
    written = None
    for number, record in enumerate(history):
        if record.figures and is_best(record.figures, history[:number], "recall"):
            written = record
    assert kept_epoch(history, "recall") == (written or history[-1])
    measured = [recall for recall in recalls if recall is not None]
    if measured:
        assert written.figures[0].mean_recall == max(measured)


def test_without_figures_the_latest_weights_are_kept():
    assert is_best((), run_of([None, None]), "recall")


@given(RECALLS, st.integers(1, 4))
def test_a_run_stops_after_as_many_figures_without_a_better_one(recalls, patience):
    history = run_of(recalls)
    measured = [recall for recall in recalls if recall is not None]
    first_best = measured.index(max(measured)) if measured else 0
    waited = len(measured) - 1 - first_best
    settings = TrainSettings(patience=patience)
    assert is_time_to_stop(history, settings) == (waited >= patience)
    assert not is_time_to_stop(history, replace(settings, patience=0))
