"""What must be done so that a cluster's topics are as wanted. Nothing is done here, and nothing is ever deleted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

_LISTS: Final = frozenset({"cleanup.policy"})
"""Settings that are lists: their order says nothing."""


class Wanted(NamedTuple):
    """A topic as it should be."""

    name: str
    partitions: int
    config: Mapping[str, str]
    replication: int | None = None
    """Copies of each record; None leaves it to the broker."""
    placed: bool = False
    """Whether something hangs on which partition a key is in: state, or what compaction keeps."""
    follows: str = ""
    """The topic that it must have as many partitions as, number by number."""


class Standing(NamedTuple):
    """A topic as it is."""

    partitions: int
    replication: int
    config: Mapping[str, str | None]


class Change(NamedTuple):
    """One setting of a topic, before and after."""

    name: str
    now: str | None
    then: str


class Step(NamedTuple):
    """What is to be done for one topic."""

    wanted: Wanted
    partitions_now: int
    """0 where there is no such topic."""
    changes: tuple[Change, ...] = ()
    refusal: str = ""
    """Why nothing is done, and the remedy."""
    note: str = ""
    """What is not as wanted, but is left so; or what comes of the step."""

    @property
    def creates(self) -> bool:
        """Whether the topic is to be made."""
        return not self.partitions_now

    @property
    def grows(self) -> bool:
        """Whether it is to have more partitions."""
        return 0 < self.partitions_now < self.wanted.partitions

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.creates or self.grows or self.changes or self.refusal)


def plan(wanted: Iterable[Wanted], standing: Mapping[str, Standing], *, grow: bool) -> list[Step]:
    """One step for each topic, in the order wanted."""
    listed = list(wanted)
    sizes = {each.name: _size(each, standing.get(each.name), grow=grow) for each in listed}
    return [
        _step(each._replace(partitions=sizes[each.follows or each.name]), standing.get(each.name), each, grow=grow)
        for each in listed
    ]


def _size(wanted: Wanted, now: Standing | None, *, grow: bool) -> int:
    """How many partitions a topic gets: one that is there keeps those it has, unless more of them do no harm."""
    if now is None or (now.partitions < wanted.partitions and (grow or not wanted.placed)):
        return wanted.partitions
    return now.partitions


def _step(wanted: Wanted, now: Standing | None, asked: Wanted, *, grow: bool) -> Step:
    if now is None:
        return Step(wanted, 0)
    refusal = _refusal(wanted, now.partitions, grow=grow)
    if refusal:
        return Step(wanted, now.partitions, refusal=refusal)
    changes = tuple(
        Change(name, now.config.get(name), value)
        for name, value in wanted.config.items()
        if not _same(name, now.config.get(name), value)
    )
    notes = []
    if not wanted.follows and wanted.partitions != asked.partitions:
        notes.append(_kept(wanted, asked))
    if now.partitions < wanted.partitions and wanted.placed:
        notes.append("keys have moved to other partitions: what is known of those starts anew")
    if wanted.replication not in {None, now.replication}:
        remedy = "move it with Kafka's kafka-reassign-partitions"
        notes.append(f"has {now.replication} copies, {wanted.replication} are wanted; {remedy}")
    return Step(wanted, now.partitions, changes, note=". ".join(notes))


def _kept(wanted: Wanted, asked: Wanted) -> str:
    told = f"keeps the partitions it has, where the file says {asked.partitions}"
    if wanted.partitions > asked.partitions:
        return f"{told}: Kafka cannot take one away"
    return (
        f"{told}: a key's partition is its hash (murmur2) modulo their number, and with more of them most keys would"
        " move away from the state that belongs to them; --grow adds them all the same, workers stopped"
    )


def _refusal(wanted: Wanted, partitions: int, *, grow: bool) -> str:
    """Why a topic that follows another cannot get as many partitions as that one."""
    if not wanted.follows or partitions == wanted.partitions or (partitions < wanted.partitions and grow):
        return ""
    why = f"has {partitions} partitions and must have {wanted.partitions}, as {wanted.follows} has"
    if partitions > wanted.partitions:
        return f"{why}, and Kafka cannot take one away; take another prefix or application id, and begin anew"
    return f"{why}; accept with --grow, workers stopped, that most keys move away from their state"


def _same(name: str, now: str | None, then: str) -> bool:
    if name in _LISTS and now is not None:
        return {each.strip() for each in now.split(",")} == {each.strip() for each in then.split(",")}
    return now == then


def words(step: Step) -> str:
    """What is done for a topic, as one line."""
    if step.refusal:
        return "REFUSED, see below"
    said = []
    if step.creates:
        said.append("make it")
    if step.grows:
        said.append(f"grow it from {step.partitions_now} partitions")
    said += [f"{change.name}: {change.now} becomes {change.then}" for change in step.changes]
    return ". ".join([", ".join(said) or "as wanted", *filter(None, [step.note])])


def table(steps: Sequence[Step]) -> str:
    """All steps, one a line, and below them why some are refused."""
    rows = [("topic", "partitions", "step"), *((s.wanted.name, str(s.wanted.partitions), words(s)) for s in steps)]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {partitions:>10}  {said}" for name, partitions, said in rows]
    refused: dict[str, list[str]] = {}
    for step in steps:
        if step.refusal:
            refused.setdefault(step.refusal, []).append(step.wanted.name)
    return "\n".join([*lines, *(f"REFUSED {', '.join(names)}: {why}" for why, names in refused.items())])
