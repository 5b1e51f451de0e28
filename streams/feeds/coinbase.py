"""Coinbase's public trades: channel `market_trades` of its Advanced Trade WebSocket. Pure.

    {"channel":"market_trades","sequence_num":7,"events":[{"type":"update","trades":[{"trade_id":"12","product_id":
    "ETH-USD","price":"1260.01","size":"0.3","side":"BUY","time":"2019-08-14T20:42:27.265Z"}]}]}

Messages of a connection are numbered, whatever they hold, and trades of a product too. A subscription begins with a
snapshot of the last trades, the newest in front: what has come before is left out of it, the rest closes the gap that
the time without a connection has left. Within a message trades go by their numbers. The ticker is the product's name;
there are no conditions.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from streams.core.limits import MAX_TS_MS, MIN_TS_MS
from streams.errors import InputError, on_one_line
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sequences import NO_NUMBER, Sequences
from streams.feeds.trades import (
    BAD_TICKER,
    BAD_TIME,
    UNREADABLE,
    Columns,
    Found,
    Gap,
    Read,
    as_ticks,
    is_ticker,
    knows_too_many,
    named_gaps,
    unreadable,
)

CHANNEL: Final = "market_trades"
SHOWN_CHARACTERS: Final = 200
MOST_NUMBER: Final = (1 << 63) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class Trade(msgspec.Struct, gc=False):
    """One trade, as it is written; what is not listed here is not looked at."""

    product_id: str
    price: str
    time: str
    size: str = "0"
    trade_id: str | int = NO_NUMBER


class Message(msgspec.Struct):
    """Any message, and the words of an error."""

    channel: str = ""
    type: str = ""
    message: str = ""
    sequence_num: int = NO_NUMBER
    events: list[msgspec.Raw] = []


class Event(msgspec.Struct):
    """What a message tells of."""

    type: str = ""
    trades: list[msgspec.Raw] = []
    subscriptions: dict[str, list[str]] = {}


class Known(NamedTuple):
    """A trade that is one."""

    ticker: str
    number: int
    ts_ms: int
    price: float
    size: float


class Coinbase:
    """One run of a feed: what it has seen so far decides what is new."""

    name = "coinbase"

    def __init__(self, products: Sequence[str], schema_id: int) -> None:
        self._products, self._schema_id = list(products), schema_id
        self._message, self._event = msgspec.json.Decoder(Message), msgspec.json.Decoder(Event)
        self._trade = msgspec.json.Decoder(Trade)
        self._last_message = NO_NUMBER
        self._begin()

    def _begin(self) -> None:
        self.encoder, self._sequences = TickEncoder((), self._schema_id, ()), Sequences()
        self._newest: dict[str, int] = {}
        """Of each product, the highest number of a trade so far."""

    def greeting(self) -> Generator[bytes | None, bytes, list[bytes]]:
        """Subscribe: see `Polygon.greeting`."""
        yield msgspec.json.encode({"type": "subscribe", "product_ids": self._products, "channel": CHANNEL})
        yield msgspec.json.encode({"type": "subscribe", "channel": "heartbeats"})
        early, left = [], set(self._products)
        while left:
            message = yield None
            early.append(message)
            try:
                heard = self._message.decode(message)
                events = [self._event.decode(each) for each in heard.events] if heard.channel == "subscriptions" else []
            except UNREADABLE:
                continue
            if heard.type == "error":
                told = on_one_line(heard.message, SHOWN_CHARACTERS)
                place = f"the subscription to {','.join(self._products)}"
                raise InputError(place, f"Coinbase refuses it ({told})", "name products as Coinbase does: ETH-USD")
            for event in events:
                left -= set(event.subscriptions.get(CHANNEL, ()))
        return early

    def disconnected(self) -> None:
        """Told where a connection has ended: messages of the next one are numbered anew, trades are not."""
        self._last_message = NO_NUMBER

    def read(self, messages: Sequence[bytes], first: int) -> Read:
        """Read messages in their order; the number of the first is for people."""
        if knows_too_many(self.encoder):
            self._begin()
        found, trades, gaps, repeated = Found(), list[Known](), list[Gap](), 0
        for number, message in enumerate(messages, first):
            gaps += self._lost_before(message)
            together = list(self._trades_of(message, f"message {number}", found))
            fresh = [trade for trade, is_new in together if is_new]
            repeated += len(together) - len(fresh)
            trades += sorted(fresh, key=lambda trade: (trade.ticker, trade.number))
            for trade in fresh:
                self._newest[trade.ticker] = max(trade.number, self._newest.get(trade.ticker, NO_NUMBER))
        missing = sum(gap.missing for gap in gaps)
        read = found.read._replace(gaps=gaps, jumps=len(gaps), missing=missing, repeated=repeated)
        return self._with_trades(read, trades) if trades else read

    def _with_trades(self, read: Read, trades: list[Known]) -> Read:
        tickers, numbers, times, prices, sizes = zip(*trades, strict=True)
        ticks, resized = as_ticks(Columns(tickers, times, prices, sizes, ((),) * len(trades)), self.encoder)
        jumps = self._sequences.look(ticks.ticker, numbers)
        return read._replace(
            ticks=ticks,
            resized=resized,
            gaps=[*read.gaps, *named_gaps(jumps, self.encoder)],
            jumps=read.jumps + len(jumps.ticker),
            missing=read.missing + jumps.missing,
            behind=jumps.behind,
        )

    def _lost_before(self, message: bytes) -> Iterator[Gap]:
        """Whether messages are missing in front of this one."""
        try:
            number = self._message.decode(message).sequence_num
        except UNREADABLE:
            return  # it has a number too, which shows in front of the next
        before, self._last_message = self._last_message, number
        if before != NO_NUMBER and number > before + 1:
            yield Gap("the connection", f"message {before}", f"message {number}", number - before - 1)

    def _trades_of(self, message: bytes, place: str, found: Found) -> Iterator[tuple[Known, bool]]:
        """The sound trades of a message, and whether each is new."""
        try:
            heard = self._message.decode(message)
            events = [self._event.decode(each) for each in heard.events] if heard.channel == CHANNEL else []
        except UNREADABLE as error:
            found.refuse(message, unreadable("bad_message", error), place)
            return
        if heard.type == "error":
            found.said.append(on_one_line(heard.message, SHOWN_CHARACTERS))
        found.others += heard.channel != CHANNEL
        parts = [(event.type == "snapshot", part) for event in events for part in event.trades]
        for number, (again, part) in enumerate(parts, 1):
            known = self._known(bytes(part), f"{place}, trade {number}", found)
            if known is not None:
                is_new = not again or known.number < 0 or known.number > self._newest.get(known.ticker, NO_NUMBER)
                yield known, is_new

    def _known(self, part: bytes, place: str, found: Found) -> Known | None:
        """One trade, or None where it is none."""
        try:
            trade = self._trade.decode(part)
            moment = datetime.fromisoformat(trade.time)
            ts_ms = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS
            known = Known(trade.product_id, int(trade.trade_id), ts_ms, float(trade.price), float(trade.size))
        except (*UNREADABLE, ValueError, OverflowError) as error:
            found.refuse(part, unreadable("bad_trade", error), place)
            return None
        if not (math.isfinite(known.price) and math.isfinite(known.size) and known.number <= MOST_NUMBER):
            found.refuse(part, unreadable("bad_trade", ValueError("a number without end")), place)
        elif not is_ticker(known.ticker):
            found.refuse(part, BAD_TICKER, place)
        elif not MIN_TS_MS <= ts_ms < MAX_TS_MS:
            found.refuse(part, BAD_TIME, place)
        else:
            return known
        return None
