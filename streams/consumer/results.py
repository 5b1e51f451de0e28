"""Sends results to `alert-results`, keyed by strategy; one that is sent is acknowledged by the broker."""

import asyncio
import os
import socket
from types import TracebackType
from typing import Self

from streams.consumer.clients import check_topic, close, make_producer, result_encoder
from streams.consumer.execution import Execution
from streams.consumer.limits import Limits
from streams.consumer.report import result_value
from streams.kafka.codec import Encoder
from streams.kafka.schema_source import registry_told
from streams.settings import Settings


class Results:
    """Where results go."""

    def __init__(self, settings: Settings, limits: Limits, worker_id: str = "") -> None:
        self._settings, self._limits = settings, limits
        self._topic = settings.topics.alert_results
        self._worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}"

    async def __aenter__(self) -> Self:
        """Connect. Raises `InputError` where that cannot be."""
        self._encoder = await asyncio.to_thread(self._prepared)
        self._producer = make_producer(self._settings)
        try:
            await self._producer.start()
        except BaseException:
            await close(self._producer, self._limits.close_within_s)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close(self._producer, self._limits.close_within_s)

    async def send(self, execution: Execution, told: object) -> None:
        """Send what the strategy function returned; raises where the broker does not acknowledge it."""
        value = result_value(self._encoder, execution, told, self._worker_id)
        key = execution.strategy_id.encode()
        # The record's own time is that of the event, as everywhere.
        await self._producer.send_and_wait(self._topic, value, key=key, timestamp_ms=execution.ts_ms)

    def _prepared(self) -> Encoder:
        check_topic(self._settings, self._topic)
        with registry_told():
            return result_encoder(self._settings)
