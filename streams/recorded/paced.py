"""A result onto topics of its own, at the pace of its own time: for those who want to see strategies run on it.

**No live topic is touched.** The topics have a prefix that begins with `replay-`, which is not that of the environment.
A topic that is there already is looked into, and left alone where it holds a record without a run's name. And each
record names its run, so that nobody takes it for live.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.errors import InputError, shortened
from streams.feeds.sender import CONNECT_TIMEOUT_S, DELIVERY_TIMEOUT_S, STOPPED_TIMEOUT_S, Wait
from streams.kafka.bad_values import BadValueError
from streams.kafka.broker_trouble import Heard, trouble
from streams.kafka.codec import Decoder
from streams.kafka.registry import Schemas
from streams.kafka.security import for_confluent
from streams.kafka.topic_file import wanted_topics
from streams.kafka.topics import Cluster, apply
from streams.kafka.whole_topic import committed_ends
from streams.replay.moments import Execution, Moment
from streams.settings import Settings
from streams.topic_names import TopicNames

PREFIX: Final = re.compile(r"replay-[a-zA-Z0-9._-]{0,100}\.")
SPEED: Final = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)x")
CHOOSE: Final = "choose a prefix such as replay-monday. that is nobody's environment"


class Pace(NamedTuple):
    """How fast, and by which clock."""

    speed: float | None
    """Seconds of the executions' own time in one second; None: as fast as Kafka takes them."""
    wait: Wait
    now_s: Callable[[], float]


class Sent(NamedTuple):
    """What became of it."""

    executions: int
    """Handed over, in their order."""
    not_delivered: int
    seconds: float
    last_ms: int | None
    """The time of the last of them."""
    stopped: bool
    problem: str = ""


class Out(Protocol):
    """Where records go."""

    problem: str

    def send_one(self, key: bytes, value: bytes, ts_ms: int, wait: Wait) -> bool:
        """Hand over one; False where it was told to stop meanwhile."""

    def close(self, timeout_s: float) -> int:
        """Wait for what is under way; returns how many did not arrive."""


def read_speed(text: str) -> float | None:
    """`1x`, `10x`, `0.5x`; None for `max`. Raises `InputError`."""
    found = SPEED.fullmatch(text)
    if text == "max":
        return None
    if found is None or not float(found[1]):
        raise InputError("--speed", f"{shortened(text)} is no speed", "write 1x, 10x, or such, or max")
    return float(found[1])


def refuse_live_names(settings: Settings, prefix: str) -> None:
    """Raise for a prefix that may be that of an environment."""
    if prefix == settings.topic_prefix:
        raise InputError("--onto", f"{shortened(prefix)} is this environment itself, and live", CHOOSE)
    if not PREFIX.fullmatch(prefix):
        raise InputError("--onto", f"{shortened(prefix)} does not begin with replay- and end with a dot", CHOOSE)


def make_topic(settings: Settings, prefix: str, schemas: Schemas) -> str:
    """The topic of executions under a prefix, made where it is not there; raises where it holds anything live."""
    topic = TopicNames(prefix, settings.app_id).alert_executions
    wanted = [each for each in wanted_topics(TopicNames(prefix, settings.app_id)) if each.name == topic]
    cluster = Cluster(settings.broker, for_confluent(settings))
    if cluster.standing([topic]).get(topic) is None:
        apply(cluster, wanted, grow=False)
    else:
        _refuse_live_records(settings, topic, Decoder(schemas, "execution"))
    return topic


def send_paced(moments: Iterable[Moment], encode: Callable[[Execution], bytes], out: Out, pace: Pace) -> Sent:
    """Send each execution when it is due, to the end or until told to stop."""
    began_s, count, first_ms, last_ms, stopped = pace.now_s(), 0, None, None, False
    for moment in moments:
        first_ms = moment.due_ms if first_ms is None else first_ms
        due_s = (moment.due_ms - first_ms) / 1_000 / pace.speed if pace.speed else 0.0
        left_s = due_s - (pace.now_s() - began_s)
        while left_s > 0 and not stopped:
            stopped = pace.wait(left_s)
            left_s = due_s - (pace.now_s() - began_s)
        for execution in moment.executions:
            key = execution["strategy_id"].encode()
            stopped = stopped or pace.wait(0) or not out.send_one(key, encode(execution), moment.ts_ms, pace.wait)
            if not stopped:
                count, last_ms = count + 1, moment.ts_ms
        if stopped:
            break
    lost = out.close(STOPPED_TIMEOUT_S if stopped else DELIVERY_TIMEOUT_S + 1)
    return Sent(count, lost, round(pace.now_s() - began_s, 3), last_ms, stopped, out.problem)


def _refuse_live_records(settings: Settings, topic: str, decoder: Decoder) -> None:
    """Look at the first record of each partition, and at the last."""
    security = for_confluent(settings)
    ends = committed_ends(settings.broker, topic, security)
    heard = Heard()
    options: dict[str, Any] = {"bootstrap.servers": settings.broker, "log_level": 0, "error_cb": heard, **security}
    consumer = Consumer({**options, "group.id": "tickgate-reader", "enable.auto.commit": False})
    try:
        for place in _ends_of_partitions(consumer, topic, ends):
            consumer.assign([place])
            message = consumer.poll(CONNECT_TIMEOUT_S)
            if message is None or message.error() is not None:
                continue  # nothing but the marks of transactions, which no replay makes
            if not _names_a_run(decoder, message.value() or b"", dict(message.headers() or ())):
                at = f"partition {place.partition}, offset {message.offset()}"
                raise InputError(f"topic {topic}, {at}", "it names no run of a replay, so the topic is live", CHOOSE)
    except KafkaException as error:
        raise trouble(error, f"topic {topic} at {settings.broker}", "read it", heard.last) from error
    finally:
        consumer.close()


def _ends_of_partitions(consumer: Consumer, topic: str, ends: Mapping[int, int]) -> Iterable[TopicPartition]:
    for partition in ends:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), CONNECT_TIMEOUT_S)
        if first < end:
            yield from (TopicPartition(topic, partition, offset) for offset in sorted({first, end - 1}))


def _names_a_run(decoder: Decoder, value: bytes, headers: dict[str, Any]) -> bool:
    try:
        return bool(decoder.decode(value, tuple(headers.items()))["run_id"])
    except BadValueError:
        return False
