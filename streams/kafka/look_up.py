"""What is looked up of the cluster before anything begins: that the topics are there, and how large they are."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import InputError
from streams.kafka.broker_trouble import Heard, trouble
from streams.kafka.security import NO_SECURITY
from streams.topic_names import TopicNames

ANSWER_TIMEOUT_S: Final = 10.0
APPLY: Final = "run `tickgate topics apply`"


def topic_sizes(bootstrap: str, names: Collection[str], security: Mapping[str, str] = NO_SECURITY) -> dict[str, int]:
    """Of each topic that is there, the number of its partitions; raises `InputError`."""
    heard = Heard()
    options: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, "error_cb": heard, **security}
    admin = AdminClient(options)
    try:
        found = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    except KafkaException as error:
        admin.poll(0)
        raise trouble(error, bootstrap, "list the topics", heard.last) from error
    return {name: len(found[name].partitions) for name in names if name in found}


def needed_sizes(bootstrap: str, names: Collection[str], security: Mapping[str, str] = NO_SECURITY) -> dict[str, int]:
    """The same of topics that must all be there."""
    sizes = topic_sizes(bootstrap, names, security)
    refuse_missing(names, sizes, bootstrap)
    return sizes


def refuse_missing(needed: Collection[str], sizes: Mapping[str, int], bootstrap: str) -> None:
    """Raise `InputError` where a topic is not there."""
    missing = sorted(set(needed) - sizes.keys())
    if missing:
        raise InputError(f"the cluster at {bootstrap}", f"has no {', '.join(missing)}", APPLY)


def check_sizes(topics: TopicNames, needed: Collection[str], sizes: Mapping[str, int], bootstrap: str) -> None:
    """Refuse to begin where a topic is missing: Faust would go on without it, with state that is empty and stays so."""
    refuse_missing(needed, sizes, bootstrap)
    for each in (*topics.changelogs, topics.clock, topics.journal):
        if sizes[each] != sizes[topics.ticks]:
            problem = f"has {sizes[each]} partitions, and {topics.ticks} has {sizes[topics.ticks]}"
            remedy = "they must be the same: what belongs to a shard stands where its ticks do"
            raise InputError(f"topic {each}", problem, remedy)
