"""`universe.yaml`: where the product list is, how long it is kept, how often it may be asked for, and the rules.

    universe:
      url: https://exchange.example/api/v3/brokerage/market/products
      products_cache_minutes: 5
    rules:
      - name: dollars
        strategies: [breakout]
        quote: [USD]
        top: 50

What cannot be meant is refused with its line and the remedy.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from streams.core.limits import MAX_UNIVERSE
from streams.entry_files.fields import (
    Field,
    Place,
    by_name,
    host,
    list_of,
    mapping,
    names,
    number,
    texts,
    url,
    value,
)
from streams.entry_files.yaml_entries import Node, yaml_tree
from streams.errors import InputError, shortened
from streams.strategy_fields import CHECKS
from streams.strategy_file import text_of
from streams.universes.http_products import Asking
from streams.universes.lifetimes import Lifetime
from streams.universes.limits import MAX_CALLS, MAX_RULE_STRATEGIES, MAX_RULES
from streams.universes.products import ONLINE
from streams.universes.rate_limit import Limit
from streams.universes.rules import Rule

MINUTE_MS: Final = 60_000
A_DAY: Final = 1_440
"""In minutes."""

DEFAULT_LIMIT: Final = Limit(600, 60_000)
"""Of an endpoint that the file does not name: ten calls a second, as exchanges grant them to anybody."""

_ID: Final = CHECKS["strategy_id"]

_LIMIT: Final = {
    "calls": Field(number(1, MAX_CALLS, whole=True), "how many calls there may be"),
    "per_seconds": Field(number(0.001, 86_400), "within how long"),
}
_METRICS: Final = {
    "host": Field(host, "where metrics are served", "127.0.0.1"),
    "port": Field(number(0, 65_535, whole=True), "on which port; 0 takes a free one", 8_000),
}
_UNIVERSE: Final = {
    "url": Field(url, "where the exchange lists its products"),
    "page_size": Field(number(1, 10_000, whole=True), "products of one answer", 250),
    "query": Field(texts, "filters of the exchange's own, such as {product_type: SPOT}", {}),
    "timeout_seconds": Field(number(0.1, 300), "how long one answer may take", 10.0),
    "products_cache_minutes": Field(number(0, A_DAY), "how long a list is kept; 0: not at all", 5.0),
    "quiet_minutes": Field(number(0, A_DAY), "the same while the market is quiet", 15.0),
    "volatile_minutes": Field(number(0, A_DAY), "the same while it is volatile", 2.0),
    "stale_minutes": Field(number(0, 7 * A_DAY), "how old a list may be that stands in for one that fails", 60.0),
    "cycle_seconds": Field(number(0.1, 86_400), "how often the rules are looked at", 60.0),
    "most_wait_seconds": Field(number(0, 3_600), "how long a call may wait for its limit", 30.0),
    "limits": Field(by_name(_LIMIT), "calls by endpoint, such as {list_products: {calls: 60, per_seconds: 60}}", {}),
    "metrics": Field(mapping(_METRICS), "where metrics are served", {"host": "127.0.0.1", "port": 8_000}),
}
_RULE: Final = {
    "name": Field(value(_ID), "what to call the rule"),
    "strategies": Field(names(1, MAX_RULE_STRATEGIES, _ID), "the ids of the strategies whose universe it makes"),
    "quote": Field(names(1, 1_000), "the currencies that prices may be in", frozenset()),
    "status": Field(names(0, 1_000), "in the exchange's own words; [] for any", frozenset({ONLINE})),
    "min_volume": Field(number(0, 1e18), "traded in 24 hours, in the quote currency", 0.0),
    "top": Field(number(1, MAX_UNIVERSE, whole=True), "so many, by their volume", MAX_UNIVERSE),
    "keep_top": Field(number(0, MAX_UNIVERSE, whole=True), "a ticker that is in stays up to this rank", 0),
    "include": Field(names(0, MAX_UNIVERSE), "tickers that are always in, if they are traded", frozenset()),
    "exclude": Field(names(0, MAX_UNIVERSE), "tickers that are never in", frozenset()),
    "at_most": Field(number(1, MAX_UNIVERSE, whole=True), "the most tickers, included ones first", MAX_UNIVERSE),
}
_FILE: Final = mapping(
    {
        "universe": Field(mapping(_UNIVERSE), "where the product list is, and its bounds"),
        "rules": Field(list_of(_RULE, MAX_RULES), "a list of rules"),
    }
)


class UniverseFile(NamedTuple):
    """All of it."""

    asking: Asking
    lifetime: Lifetime
    stale_ms: int
    cycle_s: float
    limits: dict[str, Limit]
    most_wait_ms: int
    metrics_host: str
    metrics_port: int
    rules: tuple[Rule, ...]


def read_universe_file(path: Path) -> UniverseFile:
    """Read the file, or raise `InputError` for the first thing that is wrong."""
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(str(path), "a universe file is YAML, told by its suffix", "name it .yaml or .yml")
    place, root = Place(str(path)), yaml_tree(text_of(path), str(path))
    if root is None:
        raise InputError(str(path), "there is nothing in the file", "write universe and rules")
    read = _FILE(root, place)
    given = read["universe"]
    minutes = (given[each] for each in ("products_cache_minutes", "quiet_minutes", "volatile_minutes"))
    limits = given["limits"].items()
    return UniverseFile(
        Asking(given["url"], given["page_size"], given["query"], given["timeout_seconds"]),
        Lifetime(*(round(each * MINUTE_MS) for each in minutes)),
        round(given["stale_minutes"] * MINUTE_MS),
        given["cycle_seconds"],
        {endpoint: Limit(each["calls"], round(each["per_seconds"] * 1_000)) for endpoint, each in limits},
        round(given["most_wait_seconds"] * 1_000),
        given["metrics"]["host"],
        given["metrics"]["port"],
        _rules(read["rules"], place.at("rules")),
    )


def _rules(given: Iterable[dict[str, Any]], place: Place) -> tuple[Rule, ...]:
    """The rules. Each has a name of its own, and a strategy has one rule."""
    found: dict[str, Rule] = {}
    owners: dict[str, str] = {}
    for fields in given:
        node = Node(fields.pop("line"), fields)
        rule = Rule(**{**fields, "strategies": tuple(sorted(fields["strategies"]))})
        if rule.name in found:
            raise place.error(node, f"{shortened(rule.name)} is there already", "give each rule a name of its own")
        for strategy_id in rule.strategies:
            other = owners.setdefault(strategy_id, rule.name)
            if other != rule.name:
                problem = f"{shortened(strategy_id)} has the rule {shortened(other)} already"
                raise place.error(node, problem, "name each strategy in one rule")
        found[rule.name] = rule
    return tuple(found.values())
