"""The Faust application: its settings follow from ours, and it knows the shards that its transport serves."""

import tempfile
from pathlib import Path
from typing import Any, Final

import faust
from yarl import URL

from streams.errors import InputError, os_trouble
from streams.kafka import transport
from streams.kafka.knowing_assignor import KnowingAssignor
from streams.kafka.ports import Results, Shards
from streams.kafka.security import for_faust
from streams.settings import KNOWN, Settings

MAX_BUFFERED_EVENTS: Final = 64
"""Events that wait between the fetching and an agent; each is a whole run."""

NOWHERE: Final = Path(tempfile.gettempdir()) / "tickgate-keeps-nothing"
"""What Faust is told of a folder where there is none. It is never made: the tables keep nothing in files."""


class TickgateApp(faust.App):
    """A Faust application on runs of records."""

    def __init__(
        self,
        settings: Settings,
        shards: Shards,
        results: Results,
        **options: Any,  # noqa: ANN401 - Faust's
    ) -> None:
        self.tickgate, self.shards, self.results = settings, shards, results
        if settings.data_dir is not None:
            make_folder(settings.data_dir)
        super().__init__(
            settings.group_id,
            broker=[f"{transport.NAME}://{address}" for address in settings.broker.split(",")],
            broker_credentials=for_faust(settings),
            broker_session_timeout=settings.session_timeout_ms / 1000,
            broker_heartbeat_interval=settings.heartbeat_ms / 1000,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=settings.max_partition_fetch_bytes,
            PartitionAssignor=KnowingAssignor,
            datadir=as_faust_reads_it(settings.data_dir or NOWHERE),
            stream_buffer_maxsize=MAX_BUFFERED_EVENTS,
            stream_recovery_delay=0.0,
            table_standby_replicas=settings.standby_replicas,
            topic_allow_declare=False,  # `tickgate topics apply` makes them, with their settings
            topic_disable_leader=True,
            web_enabled=False,
            store="memory://",
            **options,
        )

    def _create_directories(self) -> None:
        """Only in a folder that was asked for: Faust would leave empty ones wherever a worker was started."""
        if self.tickgate.data_dir is not None:
            super()._create_directories()

    def reached_at(self, url: str) -> None:
        """Where other workers find our web server; to be said before the group is joined."""
        self.conf.canonical_url = URL(url)

    def owner(self, partition: int) -> str:
        """Where the owner of a shard is found, as the last assignment has it; empty where nobody is known."""
        ticks = self.tickgate.topics.ticks
        assignor: Any = self.assignor
        for url, topics in assignor.external_topic_distribution.items():
            if partition in topics.get(ticks, ()):
                return str(url)
        return ""


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{folder} cannot be made ({os_trouble(error)})"
        raise InputError(KNOWN["data_dir"].variable, problem, "name a folder that may be written to") from error


def as_faust_reads_it(folder: Path) -> str:
    """A path whose braces stay braces: Faust takes it for a format."""
    return str(folder.absolute()).replace("{", "{{").replace("}", "}}")
