"""The Faust application: its settings follow from ours, and it knows the shards that its transport serves."""

from typing import Any, Final

import faust

from streams.kafka import transport
from streams.settings import Settings

MAX_BUFFERED_EVENTS: Final = 64
"""Events that wait between the fetching thread and an agent; each is a whole run."""


class TickgateApp(faust.App):
    """A Faust application on runs of records."""

    def __init__(self, settings: Settings, shards: transport.Shards, **options: Any) -> None:  # noqa: ANN401 - Faust's
        self.tickgate, self.shards = settings, shards
        super().__init__(
            settings.group_id,
            broker=[f"{transport.NAME}://{address}" for address in settings.broker.split(",")],
            broker_session_timeout=settings.session_timeout_ms / 1000,
            broker_heartbeat_interval=settings.heartbeat_ms / 1000,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=settings.max_partition_fetch_bytes,
            stream_buffer_maxsize=MAX_BUFFERED_EVENTS,
            stream_recovery_delay=0.0,
            table_standby_replicas=settings.standby_replicas,
            topic_allow_declare=False,  # `tickgate topics apply` makes them, with their settings
            topic_disable_leader=True,
            web_enabled=False,
            store="memory://",
            **options,
        )
