"""What is decoded in haste is what the decode plan makes of it, and all that is odd is left to the plan."""

import random
import struct

import numpy as np
import pytest

from streams.core.decode import FAULT
from streams.kafka.codec import frame
from streams.recorded import known_ticks
from streams.recorded.known_ticks import OWN_PLAN, Naming
from streams.reference_data import load_conditions
from tests.core.avro_bytes import TS_MS, array, block, number, text

USUAL = frame(1, text(b"AAPL") + number(TS_MS) + bytes(8) + number(100) + array([number(0), number(14)]))


def values(draw: random.Random, count: int) -> list[bytes]:
    """Ticks, most of them usual; some with bytes that were changed, cut off or added."""
    made = []
    for _ in range(count):
        name = draw.choice([b"A", b"AAPL", b"SEVENTY", b"EIGHTEEN", b"", b"\xff", f"N{draw.randrange(400)}".encode()])
        ts_ms = draw.choice([TS_MS] * 6 + [0, -1, 63, 1 << 41, (1 << 41) - 1, 4_102_444_800_000]) + draw.randrange(2)
        several = [draw.choice([0, 14, 37, 38, 63, 64, -1, 900]) for _ in range(draw.choice([0, 0, 1, 2, 2, 3, 70]))]
        codes = array([number(code) for code in several])
        if draw.random() < 0.1:
            codes = block([number(4)]) + block([number(37)], sized=True) + b"\0"
        size = number(draw.choice([0, 1, 100, 70_000, 1 << 31, 1 << 62]))
        value = frame(
            draw.choice([1] * 30 + [2, 257]), text(name) + number(ts_ms) + struct.pack("<d", 1.5) + size + codes
        )
        if draw.random() < 0.3:
            at = draw.randrange(len(value))
            value = draw.choice(
                [value[:at], value + b"\0", value[:at] + bytes([draw.randrange(256)]) + value[at + 1 :]]
            )
        made.append(value)
    return made


def decoded(naming: Naming, many: list[bytes]) -> tuple[list[int], ...]:
    """Ticker, time and whether it moves the price of those that are ticks; and what is wrong with each."""
    ends = np.cumsum([len(each) for each in many])
    starts = ends - [len(each) for each in many]
    ticks, fault = naming.from_values(np.frombuffer(b"".join(many), np.uint8), starts, ends, OWN_PLAN, 1)
    good = fault == FAULT.NONE
    return (ticks.ticker[good].tolist(), ticks.ts_ms[good].tolist(), ticks.moves_price[good].tolist(), fault.tolist())


@pytest.mark.parametrize("seed", range(20))
def test_a_value_is_what_the_plan_makes_of_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [values(random.Random(seed * 100 + k), 300) for k in range(4)]
    quick, plain = Naming(load_conditions()), Naming(load_conditions())
    found = [decoded(quick, run) for run in runs]
    monkeypatch.setattr(known_ticks, "OWN_PLAN", OWN_PLAN[:-2])
    assert found == [decoded(plain, run) for run in runs]
    assert quick.index.tickers.all_names() == plain.index.tickers.all_names()
    assert len({fault for run in found for fault in run[3]}) > 6


def test_a_usual_value_needs_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    naming = Naming(load_conditions())
    decoded(naming, [USUAL])
    monkeypatch.setattr(known_ticks, "long_decode", None)
    assert decoded(naming, [USUAL] * 3) == ([0, 0, 0], [TS_MS] * 3, [1, 1, 1], [FAULT.NONE] * 3)


def test_a_value_that_is_changed_or_cut_anywhere_is_what_the_plan_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [USUAL[:at] for at in range(len(USUAL))]
    many += [
        USUAL[:at] + bytes([byte]) + USUAL[at + 1 :] for at in range(len(USUAL)) for byte in (0, 1, 2, 127, 128, 255)
    ]
    quick = decoded(Naming(load_conditions()), many)
    monkeypatch.setattr(known_ticks, "OWN_PLAN", OWN_PLAN[:-2])
    assert quick == decoded(Naming(load_conditions()), many)
