"""Polygon's messages of trades: how to log in and subscribe, and what its messages hold. Pure.

    [{"ev":"T","sym":"MSFT","i":"50578","x":4,"p":114.125,"s":100,"c":[0,12],"t":1536036818784,"z":3,"q":3681328}]

Messages are read by a decoder that takes nothing but whole, sound trades. One that it does not take is read event by
event, so that what is bad in it goes alone. Its numbers `q` rise for each ticker; Polygon does not promise that none is
left out, so a jump says that trades may be missing, and the time without a connection that they are.
"""

import json
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np

from streams.core.limits import MAX_CONDITIONS, MAX_TICKER_BYTES
from streams.errors import InputError, on_one_line
from streams.feeds.encoded_ticks import TickEncoder
from streams.feeds.sequences import NO_NUMBER, Sequences
from streams.feeds.trades import (
    BAD_TICKER,
    BAD_TIME,
    NO_TICKS,
    NO_TIME,
    UNREADABLE,
    Columns,
    Found,
    Read,
    UnansweredError,
    as_ticks,
    in_ms,
    is_ticker,
    knows_too_many,
    named_gaps,
    unreadable,
)
from streams.settings import KNOWN

SHOWN_CHARACTERS: Final = 200
KEY_REFUSED: Final = frozenset({"auth_failed", "auth_timeout"})
REFUSED: Final = frozenset({"error", "not_found", "not_authorized"})
LATER: Final = frozenset({"max_connections", "disconnected"})
"""What a status may say: the key is no good; what was asked for is not given; try again after a while."""

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63

Code = Annotated[int, msgspec.Meta(ge=-_INT32, le=_INT32 - 1)]
Number = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
Codes = Annotated[tuple[Code, ...], msgspec.Meta(max_length=MAX_CONDITIONS)]


class Trade(msgspec.Struct, tag_field="ev", tag="T", gc=False):
    """One trade; what is not listed here is not looked at."""

    sym: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TICKER_BYTES)]
    p: float
    t: Number
    s: float = 0.0
    c: Codes | None = None
    q: Number = NO_NUMBER


class Event(msgspec.Struct):
    """Any event: what it is, and what a status says."""

    ev: str
    status: str = ""
    message: str = ""


def _columns(trades: list[Trade]) -> Columns:
    """A list for each field: three times as quick as to turn rows into columns."""
    return Columns(
        [trade.sym for trade in trades],
        [trade.t for trade in trades],
        [trade.p for trade in trades],
        [trade.s for trade in trades],
        [trade.c for trade in trades],
    )


class Polygon:
    """One run of a feed: what it has seen so far decides what is new."""

    name = "polygon"

    def __init__(self, key: str, tickers: Sequence[str], schema_id: int) -> None:
        """Take the tickers to subscribe to; none: all there are."""
        self._key, self._params = key, [f"T.{ticker}" for ticker in tickers or ("*",)]
        self._schema_id = schema_id
        self._trades, self._trade = msgspec.json.Decoder(list[Trade]), msgspec.json.Decoder(Trade)
        self._events, self._event = msgspec.json.Decoder(list[Event]), msgspec.json.Decoder(Event)
        self._parts = msgspec.json.Decoder(list[msgspec.Raw])
        self._begin()

    def _begin(self) -> None:
        self.encoder, self._sequences = TickEncoder((), self._schema_id, ()), Sequences()

    def greeting(self) -> Generator[bytes | None, bytes, list[bytes]]:
        """Log in and subscribe: yields what to send, or None to be given a message; returns those that hold trades.

        Raises `InputError` where the feed refuses, and would again; `UnansweredError` where it may yet.
        """
        early: list[bytes] = []
        heard: deque[Event] = deque()
        yield from self._until("connected", heard, early)
        yield msgspec.json.encode({"action": "auth", "params": self._key})
        yield from self._until("auth_success", heard, early)
        yield msgspec.json.encode({"action": "subscribe", "params": ",".join(self._params)})
        left = {f"subscribed to: {param}" for param in self._params}
        while left:
            left.discard((yield from self._until("success", heard, early)))
        return early

    def _until(self, wanted: str, heard: deque[Event], early: list[bytes]) -> Generator[bytes | None, bytes, str]:
        """Hear until a status says what is wanted; returns its message."""
        while True:
            while heard:
                event = heard.popleft()
                self._heed(event)
                if event.status == wanted:
                    return event.message
            message = yield None
            try:
                events = self._events.decode(message)
            except UNREADABLE:
                early.append(message)
                continue
            heard += (event for event in events if event.ev == "status")
            if any(event.ev != "status" for event in events):
                early.append(message)

    def _heed(self, event: Event) -> None:
        """Stop where a status says that there is nothing to wait for."""
        told = on_one_line(f"{event.status}: {event.message}".replace(self._key, "***"), SHOWN_CHARACTERS)
        if event.status in KEY_REFUSED:
            remedy = "set the key that Polygon gave you, of an account that may have trades in real time"
            raise InputError(KNOWN["polygon_key"].variable, f"Polygon refuses it ({told})", remedy)
        if event.status in REFUSED:
            remedy = "ask for tickers that the account may have, or for another account"
            raise InputError(f"the subscription to {','.join(self._params)}", f"Polygon refuses it ({told})", remedy)
        if event.status in LATER:
            raise UnansweredError(told)

    def disconnected(self) -> None:
        """Told where a connection has ended: numbers go on over it, so that what is missing is known."""

    def read(self, messages: Sequence[bytes], first: int) -> Read:
        """Read messages in their order; the number of the first is for people."""
        if knows_too_many(self.encoder):
            self._begin()
        found, trades = self._found(messages, first, careful=False)
        columns = _columns(trades)
        are_tickers = all(map(is_ticker, set(columns.tickers) - self.encoder.names.keys()))
        ticks, resized = as_ticks(columns, self.encoder) if are_tickers else (NO_TICKS, 0)
        if not are_tickers or NO_TIME in ticks.ts_ms:
            found, trades = self._found(messages, first, careful=True)
            ticks, resized = as_ticks(_columns(trades), self.encoder)
        jumps = self._sequences.look(ticks.ticker, [trade.q for trade in trades])
        gaps = named_gaps(jumps, self.encoder)
        return found.read._replace(
            ticks=ticks, resized=resized, gaps=gaps, jumps=len(jumps.ticker), missing=jumps.missing, behind=jumps.behind
        )

    def _found(self, messages: Sequence[bytes], first: int, *, careful: bool) -> tuple[Found, list[Trade]]:
        """All trades, and what else there is."""
        found, trades = Found(), list[Trade]()
        for number, message in enumerate(messages, first):
            if not careful:
                try:
                    trades += self._trades.decode(message)
                except UNREADABLE:
                    pass
                else:
                    continue
            trades += self._one_by_one(message, f"message {number}", found)
        return found, trades

    def _one_by_one(self, message: bytes, place: str, found: Found) -> Iterator[Trade]:
        """The sound trades of one message."""
        try:
            parts = self._parts_of(message)
        except UNREADABLE as error:
            found.refuse(message, unreadable("bad_message", error), place)
            return
        for number, part in enumerate(parts, 1):
            try:
                trade = self._trade.decode(part)
            except UNREADABLE as error:
                self._no_trade(part, f"{place}, event {number}", error, found)
                continue
            if not is_ticker(trade.sym):
                found.refuse(part, BAD_TICKER, f"{place}, event {number}")
            elif in_ms(np.array([trade.t]))[0] == NO_TIME:
                found.refuse(part, BAD_TIME, f"{place}, event {number}")
            else:
                yield trade

    def _parts_of(self, message: bytes) -> list[bytes]:
        """Each event by itself, as it came; written anew where what is no JSON in one of them hides the others."""
        try:
            return list(map(bytes, self._parts.decode(message)))
        except UNREADABLE:
            try:
                events = json.loads(message)
            except (ValueError, RecursionError):
                events = None
            if not isinstance(events, list):
                raise
            return [json.dumps(event).encode() for event in events]

    def _no_trade(self, part: bytes, place: str, error: Exception, found: Found) -> None:
        """A status, another kind of event, or a trade that is none."""
        try:
            event = self._event.decode(part)
        except UNREADABLE:
            found.refuse(part, unreadable("bad_event", error), place)
            return
        if event.ev == "status":
            found.said.append(on_one_line(f"{event.status}: {event.message}", SHOWN_CHARACTERS))
        elif event.ev == "T":
            found.refuse(part, unreadable("bad_trade", error), place)
        else:
            found.others += 1
