"""What a rule makes of a product list: the tickers of one universe. Pure, and the same for the same input.

In this order: products that are excluded, or are not traded, are out. Those that are included are in. Of the rest, the
rule's filters decide; then the rank by volume; then the most that there may be, by the same rank.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.limits import MAX_UNIVERSE
from streams.universes.products import ONLINE, Product


class Rule(NamedTuple):
    """What a universe is made of, and whose it is."""

    name: str
    strategies: tuple[str, ...]
    quote: frozenset[str] = frozenset()
    """Currencies that prices may be in; none: any."""
    status: frozenset[str] = frozenset({ONLINE})
    min_volume: float = 0.0
    """In 24 hours, in the quote currency."""
    top: int = MAX_UNIVERSE
    """Of those that are left, so many, by their volume."""
    keep_top: int = 0
    """A ticker that is in already stays up to this rank, so that two that change places do not go in and out."""
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    at_most: int = MAX_UNIVERSE


class Universe(NamedTuple):
    """What a rule has found."""

    tickers: frozenset[str]
    unlisted: tuple[str, ...] = ()
    """What was to be included and is not listed, or not traded."""


def resolve(rule: Rule, products: Sequence[Product], current: frozenset[str] = frozenset()) -> Universe:
    """The tickers of a rule; `current` is the universe that stands."""
    traded = {each.product_id: each for each in products if each.tradable and each.product_id not in rule.exclude}
    fixed = [traded[ticker] for ticker in rule.include if ticker in traded]
    open_to = [each for each in traded.values() if each.product_id not in rule.include and _fits(rule, each)]
    ranked = by_volume(open_to)
    chosen = [
        each
        for rank, each in enumerate(ranked, 1)
        if rank <= rule.top or (rank <= rule.keep_top and each.product_id in current)
    ]
    tickers = [each.product_id for each in (*by_volume(fixed), *chosen)][: rule.at_most]
    return Universe(frozenset(tickers), tuple(sorted(rule.include - traded.keys())))


def by_volume(products: Iterable[Product]) -> list[Product]:
    """The most traded first; those with the same volume by their ids."""
    return sorted(products, key=lambda each: (-each.volume, each.product_id))


def _fits(rule: Rule, product: Product) -> bool:
    return (
        (not rule.quote or product.quote in rule.quote)
        and (not rule.status or product.status in rule.status)
        and product.volume >= rule.min_volume
    )
