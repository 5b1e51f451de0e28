"""The clients are secured as the worker's are, commit nothing by themselves, and are left in bounded time."""

import asyncio

import pytest

from streams.consumer.clients import close, group_id, make_consumer, make_producer
from streams.consumer.limits import Limits
from streams.errors import InputError
from streams.settings import Settings
from tests.consumer.ground import in_loop

SECURE = Settings(
    topic_prefix="e.",
    security_protocol="SASL_PLAINTEXT",
    sasl_mechanism="SCRAM-SHA-256",
    sasl_username="reader",
    sasl_password="secret",  # noqa: S106 - nobody's
)


def test_both_clients_log_in_as_the_settings_say() -> None:
    async def story() -> None:
        consumer, producer = make_consumer(SECURE, "g", Limits()), make_producer(SECURE)
        for inside in (consumer._client, producer.client):
            assert inside._security_protocol == "SASL_PLAINTEXT"
            assert (inside._sasl_mechanism, inside._sasl_plain_username) == ("SCRAM-SHA-256", "reader")
        await consumer.stop()
        await producer.stop()

    in_loop(story)


def test_the_group_waits_for_a_hand_over_and_a_commit() -> None:
    limits = Limits()
    assert limits.rebalance_s > limits.hand_over_s + limits.commit_within_s
    assert limits.handling_s > limits.rebalance_s


def test_environments_have_groups_of_their_own() -> None:
    assert group_id(SECURE, "mine") == "e.mine"
    with pytest.raises(InputError, match="the group of the worker"):
        group_id(SECURE, SECURE.app_id)


def test_a_broker_that_does_not_answer_is_left(caplog: pytest.LogCaptureFixture) -> None:
    class Hangs:
        async def stop(self) -> None:
            await asyncio.Event().wait()

    in_loop(lambda: close(Hangs(), 0.01))
    assert "left the broker without its answer: TimeoutError" in caplog.text
