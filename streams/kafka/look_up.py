"""What a worker looks up of the cluster before it begins: that its topics are there, and how large they are."""

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


def check_sizes(topics: TopicNames, needed: Collection[str], sizes: Mapping[str, int], bootstrap: str) -> None:
    """Refuse to begin where a topic is missing: Faust would go on without it, with state that is empty and stays so."""
    missing = sorted(set(needed) - sizes.keys())
    if missing:
        raise InputError(f"the cluster at {bootstrap}", f"has no {', '.join(missing)}", APPLY)
    for each in (*topics.changelogs, topics.clock, topics.journal):
        if sizes[each] != sizes[topics.ticks]:
            problem = f"has {sizes[each]} partitions, and {topics.ticks} has {sizes[topics.ticks]}"
            remedy = "they must be the same: what belongs to a shard stands where its ticks do"
            raise InputError(f"topic {each}", problem, remedy)
