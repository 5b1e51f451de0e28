"""An exchange's products as it lists them, and what of a list can be used.

Pages are JSON in the manner of Coinbase's: `{"products": [{"product_id": "BTC-USD", ...}]}`. A product that cannot be
read costs only itself, until too many cannot: then the list is in a form that is not known, and is refused whole.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from streams.errors import shortened
from streams.strategy_fields import FieldError, check_ticker
from streams.universes.limits import MAX_BAD_SHARE

ONLINE: Final = "online"

_BARRED: Final = ("is_disabled", "trading_disabled", "cancel_only", "view_only")
"""With one of them set, a product can be looked at and not be traded."""


class Product(NamedTuple):
    """One thing that is traded. Its id is the ticker."""

    product_id: str
    quote: str
    """The currency that its price is in."""
    status: str = ONLINE
    volume: float = 0.0
    """Traded in the last 24 hours, in the quote currency."""
    tradable: bool = True


class Listing(NamedTuple):
    """One whole list, as it was fetched."""

    products: Sequence[Product]
    calls: int = 1
    """Requests that it took."""
    bad: int = 0
    """Entries that could not be read and were left out."""
    first_bad: str = ""


class SourceError(Exception):
    """The exchange gave no list that can be used."""

    def __init__(self, problem: str, remedy: str, retry_after_ms: int | None = None) -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy
        self.retry_after_ms = retry_after_ms
        """What is to pass before it is asked again, where it is known."""

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class ProductSource(Protocol):
    """Where product lists come from."""

    async def list_products(self, *, critical: bool) -> Listing:
        """Everything that is listed, each product once, as it was listed last; raises `SourceError`.

        What is not critical waits where the exchange's limit is near.
        """


class Page(NamedTuple):
    """One answer."""

    products: list[Product]
    entries: int
    """How many there were, those that could not be read included."""
    first_bad: str = ""


def read_page(body: bytes) -> Page:
    """Read one answer; raises `SourceError`."""
    remedy = "see that the url is that of a product list"
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        problem = f"the answer is no JSON, it begins with {shortened(body[:40].decode(errors='replace'))}"
        raise SourceError(problem, remedy) from error
    entries = found.get("products") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise SourceError("the answer holds no list of products", remedy)
    products, first_bad = [], ""
    for entry in entries:
        try:
            products.append(read_product(entry))
        except ValueError as error:
            first_bad = first_bad or str(error)
    return Page(products, len(entries), first_bad)


def read_product(entry: Any) -> Product:  # noqa: ANN401 - JSON
    """One product; raises ValueError where it cannot be used."""
    if not isinstance(entry, dict):
        raise ValueError(f"{shortened(str(entry))} is no product")  # noqa: TRY004 - what is wrong is a value, for all
    product_id = entry.get("product_id")
    try:
        check_ticker(product_id)
    except FieldError as error:
        raise ValueError(f"product_id: {error.problem}") from error
    quote, status = entry.get("quote_currency_id"), entry.get("status", ONLINE)
    if not isinstance(quote, str) or not isinstance(status, str):
        raise ValueError(f"{shortened(str(product_id))} has no quote_currency_id, or a status that is no text")  # noqa: TRY004 - as above
    barred = any(entry.get(name) is True for name in _BARRED)
    return Product(str(product_id), quote, status, _volume(entry), not barred)


def _volume(entry: Mapping[str, Any]) -> float:
    """What was traded, in the quote currency: as it is told, or by the price. None told counts as none traded."""
    told = _number(entry, "approximate_quote_24h_volume")
    if told is None:
        base, price = _number(entry, "volume_24h"), _number(entry, "price")
        told = 0.0 if base is None or price is None else base * price
    if not math.isfinite(told) or told < 0:
        raise ValueError(f"{shortened(str(entry['product_id']))} has a volume of {told}")
    return told


def _number(entry: Mapping[str, Any], name: str) -> float | None:
    """A number, which may be written as text; None where there is none."""
    value = entry.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{shortened(str(entry['product_id']))} has a {name} that is no number")  # noqa: TRY004 - as above
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{shortened(str(entry['product_id']))} has a {name} that is no number") from error


def usable(listing: Listing) -> Listing:
    """The list, if it may be one; raises `SourceError` where it is empty, or mostly cannot be read."""
    entries = len(listing.products) + listing.bad
    if not entries:
        raise SourceError("the list is empty, which no exchange's is", "see that the url and its filters are right")
    if listing.bad > MAX_BAD_SHARE * entries:
        problem = f"{listing.bad} of {entries} products cannot be read, first: {listing.first_bad}"
        raise SourceError(problem, "see that the url is that of a product list in the form that is known")
    return listing
