"""The dead letters of a run: every refused record has one, with its place, the reason, and what it held."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.chaos.expected import Expected, Refused
from tests.chaos.journal import Journal
from tests.chaos.state import Finding


def letter_findings(journal: Journal, shards: Sequence[Expected]) -> Iterator[Finding]:
    """Letters that are missing, that are there too often, that should not be there, or that hold something else."""
    refused = [each for shard in shards for each in shard.letters]
    told = Counter(
        Refused(each.fields["topic"], each.fields["partition"], each.fields["offset"], each.fields["reason"])
        for each in journal.letters
    )
    for each in refused:
        if told[each] == 0:
            yield Finding("letter", place(each), f"has no dead letter that says {each.reason}")
        elif told[each] > 1:
            yield Finding("letter", place(each), f"has {told[each]} dead letters")
    for each in sorted(told.keys() - set(refused)):
        yield Finding("letter", place(each), f"has a dead letter that says {each.reason}, and should have none")
    yield from contents(journal)


def contents(journal: Journal) -> Iterator[Finding]:
    """Each letter holds the key and the value of its record."""
    ticks = (each.record for part in journal.ticks.values() for each in part)
    changes = (each.record for part in journal.changes.values() for each in part)
    clock = (each.record for part in journal.clock.values() for each in part)
    controls = (each.record for each in journal.controls)
    of = {(journal.names.ticks, record.partition, record.offset): record for record in ticks}
    of |= {(journal.names.strategy_changes, record.partition, record.offset): record for record in changes}
    of |= {(journal.names.clock, record.partition, record.offset): record for record in clock}
    of |= {(journal.names.controls, record.partition, record.offset): record for record in controls}
    for letter in journal.letters:
        fields = letter.fields
        record = of.get((fields["topic"], fields["partition"], fields["offset"]))
        if record is not None and (fields["key"], fields["value"]) != (record.key, record.value):
            where = f"{fields['topic']}-{fields['partition']}, offset {fields['offset']}"
            yield Finding("letter", where, "its dead letter holds another record")


def place(refused: Refused) -> str:
    """Name a refused record."""
    return f"{refused.topic}-{refused.partition}, offset {refused.offset}"
