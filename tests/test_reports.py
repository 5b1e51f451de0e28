"""The lines for the eye say the counts that they are given, in the words of old."""

from streams.instruments import Counted, Done
from streams.reports import report_lines

TOTAL = Done(
    9.0, updates=1_234, executions=89, no_update=12, bucket_dup=34, checks=7, processed=150, skipped=850, corruptions=1
)
CLASSES = "Small (≤10): 2, Medium (≤100): 2, Large (≤1000): 1, XLarge (>1000): 1"


def test_each_line_says_its_counts() -> None:
    assert report_lines(TOTAL, Counted(5_678, 56, 3), [1, 10, 11, 100, 1_000, 1_001, 0]) == [
        "Ticker updates: 1234, Universe updates: 56, Total tracked: 5678",
        "Strategy runs: 89, Skipped (no update): 12, Skipped (bucket dup): 34",
        "Advanced operations - Universe discoveries: 3",
        "Update tracking - Checks: 7, Symbols processed: 150, Symbols skipped: 850, Saved: 85.0%, Corruptions: 1",
        f"Universe distribution - {CLASSES}, Every ticker: 1",
        "Average universe size: 354 tickers across 7 active strategies",
    ]


def test_a_worker_that_has_done_nothing_has_lines_too() -> None:
    lines = report_lines(Done(0.0), Counted(0, 0, 0), [])
    assert "Saved: 0.0%" in lines[3]
    assert lines[5] == "Average universe size: 0 tickers across 0 active strategies"
