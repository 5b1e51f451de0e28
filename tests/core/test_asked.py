"""Which strategies are asked for: named ones, or a share that is the same in every run."""

import pytest

from streams.core import asked as asked_module
from streams.core.asked import NOBODY, Asked

MANY = [f"strategy-{i}" for i in range(10_000)]


def chosen(text: str) -> set[str]:
    asked = Asked.read(text)
    return {each for each in MANY if asked.asks_for(each)}


def test_off_asks_for_nobody() -> None:
    assert Asked.read("off") == NOBODY
    assert not NOBODY.anything
    assert not NOBODY.asks_for("s")


def test_names_ask_for_these() -> None:
    asked = Asked.read(" s1,s 2 ,, s3")
    assert asked.ids == {"s1", "s 2", "s3"}
    assert asked.anything
    assert (asked.asks_for("s 2"), asked.asks_for("s4")) == (True, False)


def test_a_share_is_about_as_large_as_it_says_and_a_larger_one_holds_a_smaller() -> None:
    assert 60 <= len(chosen("sample:0.01")) <= 140
    assert chosen("sample:0.01") < chosen("sample:0.1") < chosen("sample:1") == set(MANY)
    assert chosen("sample:0") == set()


def test_a_share_is_the_same_in_every_run() -> None:
    assert sorted(chosen("sample:0.0005")) == EVER_SAME


@pytest.mark.parametrize("text", ["off", "sample:0.01", "a,b"])
def test_it_is_shown_as_it_is_read(text: str) -> None:
    assert str(Asked.read(text)) == text


@pytest.mark.parametrize("text", ["sample:", "sample:2", "sample:-1", "sample:1e-3", "sample:half", ",", "s" * 257])
def test_what_cannot_be_meant_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"; .*sample:0\.01"):
        Asked.read(text)


def test_more_names_than_are_told_of_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_module, "MAX_ASKED_STRATEGIES", 2)
    with pytest.raises(ValueError, match="names 3 strategies; name 2 at most"):
        Asked.read("a,b,c")


EVER_SAME = ["strategy-1433", "strategy-4228", "strategy-4412", "strategy-7070", "strategy-7218"]
