"""What becomes of a strategy that stands both in a row and on the topic. Pure.

A row remembers what it agreed on with the topic: a version, and a mark of each field. So it is known, field by field,
who has changed what since:

- a field of the row that differs from what was agreed on is a person's edit, and stays, whatever the topic says;
- every other field becomes what the topic says.

A row that comes out of this as another one is written first. Only a row that is as it should be is sent, as it stands.
So what a person sees is what goes out, and a version that came from the database *is* a row: where a crash kept the row
from learning that it was sent, the topic knows (`Known.sent`), and what was sent once is no edit any more.

A strategy that is gone from the topic counts as deleted, and all else of it stays as in the row; so a person who edits
it meanwhile loses nothing, and who activates it makes it anew. In a row that is deleted all but the status may be
whatever it likes: nothing of it is anywhere else.

A topic that has never heard of a strategy is a new one, or another, and not one where all was deleted: rows go out to
it as if they were new. So does the row of a strategy that was deleted so long ago that its tombstone is gone too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from streams.core.events import Status, Strategy

FIELDS: Final = ("timeframe", "universe", "status", "time_zone", "session", "mode", "coalesce_ms")
"""What is compared: all but the id and the version."""

Marks = Mapping[str, str]


class Agreed(NamedTuple):
    """What a row and the topic last had in common."""

    version: int = 0
    """0: nothing yet."""
    marks: Marks = MappingProxyType({})


class Row(NamedTuple):
    """A strategy as a row has it; the version of `strategy` means nothing."""

    strategy: Strategy
    agreed: Agreed = Agreed()


class Known(NamedTuple):
    """What the topic says of a strategy."""

    stands: Strategy | None = None
    sent: Strategy | None = None
    """The last version that counted and came from the database, since the strategy was made."""
    version: int = 0
    """The last one that counted, also of a strategy that is gone."""


class Answer(NamedTuple):
    """What is to be done; nothing, where the two are equal and know it."""

    row: Row | None = None
    """What the row is to become."""
    change: Strategy | None = None
    """What is to follow on the topic, under the version that comes next."""
    contested: tuple[str, ...] = ()
    """Fields that both have changed: the topic's is given up."""


def reconcile(row: Row, known: Known) -> Answer:
    """Hold a row against the topic."""
    own, agreed = row.strategy, row.agreed
    if not known.version:
        agreed = Agreed(agreed.version)
    if known.sent is not None and known.sent.version > agreed.version:
        agreed = agreed_on(known.sent)
    stands = known.stands
    if stands is None or stands.status is Status.DELETED:
        theirs = replace(own, status=Status.DELETED)
        now = Agreed(max(known.version, agreed.version), {**agreed.marks, "status": str(Status.DELETED)})
    else:
        theirs, now = stands, agreed_on(stands)
    edited = [field for field in FIELDS if mark(own, field) != agreed.marks.get(field)]
    wanted = replace(theirs, **{field: getattr(own, field) for field in edited})
    contested = tuple(
        field for field in edited if agreed.marks and mark(theirs, field) not in _either(own, agreed, field)
    )
    if marks(wanted) != marks(own):
        return Answer(row=Row(wanted, now), contested=contested)
    if marks(wanted) != marks(theirs):
        version = now.version if theirs is stands else now.version + 1
        return Answer(change=replace(own, version=version), contested=contested)
    return Answer() if now == row.agreed else Answer(row=Row(own, now))


def agreed_on(strategy: Strategy) -> Agreed:
    """A row that is just like this."""
    return Agreed(strategy.version, marks(strategy))


def marks(strategy: Strategy) -> dict[str, str]:
    """What tells one content from another, by field."""
    return {field: mark(strategy, field) for field in FIELDS}


def mark(strategy: Strategy, field: str) -> str:
    """A short text that is another one where the field is."""
    if field != "universe":
        value = getattr(strategy, field)
        return "" if value is None else str(value)
    if not strategy.universe:
        return "all"
    text = "\n".join(sorted(strategy.universe)).encode(errors="surrogatepass")
    return f"{len(strategy.universe)} {hashlib.blake2b(text, digest_size=16).hexdigest()}"


def _either(own: Strategy, agreed: Agreed, field: str) -> tuple[str, str | None]:
    """What the topic's field is where it is no other edit: the same one, or none."""
    return mark(own, field), agreed.marks.get(field)
