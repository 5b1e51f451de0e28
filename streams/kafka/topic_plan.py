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
    return [_step(each, standing.get(each.name), grow=grow) for each in wanted]


def _step(wanted: Wanted, now: Standing | None, *, grow: bool) -> Step:
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
    if now.partitions < wanted.partitions and wanted.placed:
        notes.append("keys have moved to other partitions: what is known of those starts anew")
    if wanted.replication not in {None, now.replication}:
        remedy = "move it with Kafka's kafka-reassign-partitions"
        notes.append(f"has {now.replication} copies, {wanted.replication} are wanted; {remedy}")
    return Step(wanted, now.partitions, changes, note=". ".join(notes))


def _refusal(wanted: Wanted, partitions: int, *, grow: bool) -> str:
    """Why the number of partitions cannot become what is wanted."""
    if partitions > wanted.partitions:
        remedy = f"write {partitions} into the file, or take another prefix and begin with new topics"
        return f"has {partitions} partitions, {wanted.partitions} are wanted, and Kafka cannot take one away; {remedy}"
    if partitions < wanted.partitions and wanted.placed and not grow:
        why = (
            "a key's partition is its hash (murmur2) modulo their number. With more of them, most keys would move away"
            " from the state that belongs to them, and a ticker could fire twice in a bucket"
        )
        remedy = f"write {partitions} into the file, or take another prefix, or accept it with --grow, workers stopped"
        return f"has {partitions} partitions, {wanted.partitions} are wanted; {why}; {remedy}"
    return ""


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
