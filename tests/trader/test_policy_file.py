"""`policy.yaml` as a person writes it."""

from pathlib import Path

import pytest

from streams.errors import InputError
from streams.trader.conviction import Adjusting, Policy
from streams.trader.policy_file import read_policy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def test_the_file_of_old_is_read(file: Path) -> None:
    file.write_text("strategy:\n  min_conviction_to_propose: 0.28  # Was 0.30\n")
    assert read_policy(file) == Policy(0.28), "policy.yaml valid YAML"
    file.write_text("strategy:\n  min_conviction_to_propose: 0.30\n")
    assert read_policy(file) == Policy(0.30), "the value to roll back to"


def test_adjustment_is_asked_for_with_what_differs_from_the_defaults(file: Path) -> None:
    file.write_text("strategy:\n  adjust: {trades: 50, most: 0.6}\n")
    assert read_policy(file) == Policy(0.28, Adjusting(trades=50, most=0.6))
    file.write_text("strategy: {adjust: {}}\n")
    assert read_policy(file) == Policy(0.28, Adjusting())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is nothing in the file"),
        ("strategy: 3\n", "line 1, strategy: the number 3, where fields belong"),
        (
            "strategy:\n  min_conviction: 0.3\n",
            "line 2, strategy, min_conviction: unknown field; did you mean min_conv",
        ),
        ("strategy: {min_conviction_to_propose: 1.5}\n", "1.5 is out of range; write one from 0 to 1"),
        ("strategy: {min_conviction_to_propose: high}\n", "the text 'high', where a number belongs"),
        (
            "strategy: {min_conviction_to_propose: 0.6, adjust: {}}\n",
            "is 0.6, and least to most are 0.2 to 0.5; write bo",
        ),
        ("strategy: {adjust: {tighten_below: 0.7}}\n", "tighten_below, 0.7, is above loosen_above, 0.6; leave room"),
        ("strategy: {adjust: {step: 0}}\n", "strategy, adjust, step: 0 is out of range"),
        ("other: {}\n", "line 1, other: unknown field"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        read_policy(file)
    assert words in str(raised.value)


def test_the_suffix_tells_the_format(file: Path) -> None:
    with pytest.raises(InputError, match=r"name it .yaml or .yml"):
        read_policy(file.with_suffix(".json"))
