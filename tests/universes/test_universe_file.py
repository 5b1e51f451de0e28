"""`universe.yaml` as a person writes it, and what is said of what cannot be meant."""

from pathlib import Path

import pytest

from streams.core.limits import MAX_UNIVERSE
from streams.errors import InputError
from streams.universes.http_products import Asking
from streams.universes.rate_limit import Limit
from streams.universes.rules import Rule
from streams.universes.universe_file import UniverseFile, read_universe_file
from tests.universes.stage import LIFETIME, MINUTE_MS

LEAST = """\
universe:
  url: https://exchange.example/products
rules:
  - name: dollars
    strategies: [s1]
"""
FULL = """\
# all of it
universe:
  url: http://exchange.example/products/
  page_size: 100
  query: {product_type: SPOT, level: 2}
  timeout_seconds: 2.5
  products_cache_minutes: 0.5
  quiet_minutes: 20
  volatile_minutes: 0
  stale_minutes: 30
  cycle_seconds: 10
  most_wait_seconds: 0
  limits:
    list_products: {calls: 60, per_seconds: 60}
  metrics: {host: 0.0.0.0, port: 0}
rules:
  - name: dollars
    strategies: [s2, s1, s2]
    quote: [USD, USDC]
    status: []
    min_volume: 1000000
    top: 50
    keep_top: 60
    include: [BTC-USD]
    exclude: [ETH-USD]
    at_most: 40
  - name: others
    strategies: [s3]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "universe.yaml"


def test_the_least_of_a_file_has_the_defaults_of_old(file: Path) -> None:
    file.write_text(LEAST)
    assert read_universe_file(file) == UniverseFile(
        Asking("https://exchange.example/products", 250, {}, 10.0),
        LIFETIME,
        60 * MINUTE_MS,
        60.0,
        {},
        30_000,
        "127.0.0.1",
        8_000,
        (Rule("dollars", ("s1",), top=MAX_UNIVERSE),),
    )


def test_all_of_a_file_is_read(file: Path) -> None:
    file.write_text(FULL)
    found = read_universe_file(file)
    assert found.asking == Asking("http://exchange.example/products", 100, {"product_type": "SPOT", "level": "2"}, 2.5)
    assert found.lifetime == (30_000, 20 * MINUTE_MS, 0)
    assert (found.stale_ms, found.cycle_s, found.most_wait_ms) == (30 * MINUTE_MS, 10.0, 0)
    assert found.limits == {"list_products": Limit(60, MINUTE_MS)}
    assert (found.metrics_host, found.metrics_port) == ("0.0.0.0", 0)  # noqa: S104 - nothing is bound
    assert found.rules[0] == Rule(
        "dollars",
        ("s1", "s2"),
        frozenset({"USD", "USDC"}),
        frozenset(),
        1_000_000.0,
        50,
        60,
        frozenset({"BTC-USD"}),
        frozenset({"ETH-USD"}),
        40,
    )
    assert [each.name for each in found.rules] == ["dollars", "others"]


def test_zero_turns_the_cache_off(file: Path) -> None:
    file.write_text(LEAST.replace("products\n", "products\n  products_cache_minutes: 0\n"))
    assert read_universe_file(file).lifetime.base_ms == 0


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (LEAST, "", "there is nothing in the file; write universe and rules"),
        (LEAST, "- 1\n", "line 1: a list, where fields belong"),
        (LEAST, "universe: {url: http://a}\n", "line 1, rules: the field is missing; add a list of rules"),
        ("universe:", "univers:", "line 2, univers: unknown field; did you mean universe?"),
        ("  url: https://exchange.example/products", "  {}", "line 2, universe, url: the field is missing; add where"),
        ("https://exchange.example/products", "ftp://x", "universe, url: 'ftp://x' is no web address"),
        ("https://exchange.example/products", "7", "universe, url: '7' is no web address"),
        ("products\n", "products\n  products_cash_minutes: 1\n", "did you mean products_cache_minutes?"),
        ("products\n", "products\n  products_cache_minutes: -1\n", "-1 is out of range; write one from 0 to 1440"),
        ("products\n", "products\n  stale_minutes: long\n", "the text 'long', where a number belongs"),
        ("products\n", "products\n  stale_minutes: .nan\n", "where a number belongs"),
        ("products\n", "products\n  page_size: 2.5\n", "where a number belongs; write a whole number from 1 to 10000"),
        ("products\n", "products\n  page_size: yes\n", "true or false, where a number belongs"),
        ("products\n", "products\n  query: [a]\n", "universe, query: a list, where fields belong"),
        ("products\n", "products\n  query: {a: yes}\n", "universe, query, a: true or false, where text belongs"),
        ("products\n", "products\n  limits: {x: {calls: 1}}\n", "limits, x, per_seconds: the field is missing"),
        ("products\n", "products\n  limits: {x y: 3}\n", "limits, 'x y': the number 3, where fields belong"),
        ("products\n", "products\n  metrics: {port: 70000}\n", "metrics, port: 70000 is out of range"),
        ("products\n", "products\n  metrics: {host: a b}\n", "metrics, host: 'a b' is no host"),
        ("    strategies: [s1]\n", "", "line 4, rules, strategies: the field is missing; add the ids"),
        ("[s1]", "[]", "line 5, rules, strategies: 0 of them; write from 1 to 10000"),
        ("[s1]", "s1", "the text 's1', where a list belongs"),
        ("[s1]", "[s1]\n    quote: [no]", "rules, quote: true or false, where text belongs; put it in quotes; YAML"),
        ("[s1]", "[s1]\n    quote: []", "rules, quote: 0 of them; write from 1"),
        ("[s1]", "[s1]\n    include: [[a]]", "rules, include: a list, where text belongs"),
        ("[s1]", "[s1]\n    top: 0", "rules, top: 0 is out of range"),
        ("[s1]", "[s1]\n  - 5", "line 6, rules: the number 5, where fields belong"),
        ("[s1]", "[s1]\n  - {name: dollars, strategies: [s2]}", "line 6, rules: 'dollars' is there already"),
        ("[s1]", "[s1]\n  - {name: b, strategies: [s1]}", "line 6, rules: 's1' has the rule 'dollars' already"),
        ("name: dollars", "name: ''", "rules, name: the text is empty"),
        ("- name: dollars\n    strategies: [s1]", "name: a", "line 4, rules: an object, where a list belongs"),
        ("[s1]", "[s1", "malformed YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(file: Path, before: str, after: str, words: str) -> None:
    assert before in LEAST
    file.write_text(LEAST.replace(before, after, 1))
    with pytest.raises(InputError) as raised:
        read_universe_file(file)
    assert words in str(raised.value)
    assert str(raised.value).startswith(str(file))


def test_the_suffix_tells_the_format_and_the_file_must_be_there(file: Path) -> None:
    with pytest.raises(InputError, match=r"name it .yaml or .yml"):
        read_universe_file(file.with_suffix(".json"))
    with pytest.raises(InputError, match="cannot be read"):
        read_universe_file(file)
