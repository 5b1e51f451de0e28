"""What a strategy function returns becomes a result that every reader can decode, whatever it returns."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.consumer.report import MAX_RESULT_BYTES, SKIPPED, Report, Trigger, failed, result_value
from streams.kafka.codec import Decoder
from streams.kafka.registry import FileSchemas
from tests.consumer.ground import ENCODER, execution

DECODER = Decoder(FileSchemas(), "result")
TOLD = execution("s1", 4, execution_id="e4")


def result(told: object) -> dict[str, Any]:
    value = result_value(ENCODER, TOLD, told, "me")
    assert len(value) <= MAX_RESULT_BYTES
    return DECODER.decode(value)


def test_nothing_to_tell_is_ok() -> None:
    assert result(None) == {
        "execution_id": "e4",
        "strategy_id": "s1",
        "strategy_version": 3,
        "bucket_ms": 240_000,
        "ts": 240_007,
        "status": "ok",
        "error": "",
        "used_symbols": [],
        "triggers": [],
        "fills": [],
        "worker_id": "me",
    }


def test_symbols_and_triggers_are_told() -> None:
    told = result(Report(["A", "B"], [Trigger("A", 0.5), Trigger("B", 1, "sell", 3.25, "fell")]))
    assert told["used_symbols"] == ["A", "B"]
    assert told["triggers"] == [
        {"ticker": "A", "conviction": 0.5, "side": "", "price": None, "reason": ""},
        {"ticker": "B", "conviction": 1.0, "side": "sell", "price": 3.25, "reason": "fell"},
    ]


def test_numbers_of_other_libraries_are_numbers() -> None:
    (told,) = result(Report(triggers=[Trigger("A", float(np.float32(0.5)), price=Decimal("2.5"))]))["triggers"]  # type: ignore[arg-type]
    assert (told["conviction"], told["price"]) == (0.5, 2.5)


def test_skipped_and_failed_say_so() -> None:
    assert result(SKIPPED)["status"] == "skipped"
    told = result(failed(KeyError("AAPL")))
    assert (told["status"], told["error"]) == ("failed", "KeyError: 'AAPL'")
    assert result(failed(ValueError()))["error"] == "ValueError"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (["A"], "returned list"),
        (Report(status="fine"), "'fine' is not one of"),
        (Report("AAPL"), "one text"),
        (Report(triggers=[Trigger("A", 1.5)]), "not from 0 to 1"),
        (Report(triggers=[Trigger("A", float("nan"))]), "not from 0 to 1"),
        (Report(triggers=[Trigger("A", 0.5, "hold")]), "'hold'"),
        (Report([1]), "TypeError"),  # type: ignore[list-item]
        (Report(5), "TypeError"),  # type: ignore[arg-type]
        (Report(["\ud800"]), "UnicodeEncodeError"),
        (Report([f"TICKER{n}" for n in range(100_000)]), "bytes"),
    ],
)
def test_a_report_that_cannot_be_sent_is_a_failure_that_says_why(told: object, why: str) -> None:
    found = result(told)
    assert found["status"] == "failed"
    assert why in found["error"]
    assert found["used_symbols"] == []


@given(st.text(st.characters(), max_size=3_000))
def test_any_error_is_told_at_bounded_length(text: str) -> None:
    told = result(failed(RuntimeError(text)))
    assert told["status"] == "failed"
    assert told["error"].startswith("RuntimeError")
    assert len(told["error"]) <= 1_000
