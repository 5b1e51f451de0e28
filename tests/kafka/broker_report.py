"""The last lines of a test run say on which Kafka the tests ran.

A test that uses a broker notes it in its report; reports travel from xdist's workers to where they are summed up.
"""

from collections.abc import Iterable

import pytest

KIND = "kafka broker"
PASSED_OVER = "kafka brokers passed over"


def note_broker(node: pytest.Item, kind: str, passed_over: Iterable[str]) -> None:
    """Put it into the test's report."""
    node.user_properties += [(KIND, kind), *((PASSED_OVER, each) for each in passed_over)]


def lines(properties: Iterable[tuple[str, object]]) -> list[str]:
    """What to say, from the notes of all tests; nothing where no test used a broker."""
    noted = dict.fromkeys((name, str(value)) for name, value in properties)
    kinds = [value for name, value in noted if name == KIND]
    if not kinds:
        return []
    passed_over = [f"  passed over {value}" for name, value in noted if name == PASSED_OVER]
    return [f"Kafka tests ran on: {', '.join(kinds)}", *passed_over]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it."""
    reports = (report for each in terminalreporter.stats.values() for report in each)
    for line in lines(note for report in reports for note in getattr(report, "user_properties", ())):
        terminalreporter.write_line(line)
