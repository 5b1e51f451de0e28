"""Executions come off a real Kafka once each, decoded, in order; through restarts, hand-overs and bad values."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import replace

import pytest

from streams.consumer import Execution, Executions, Limits
from streams.consumer.holding import Bounds, resume_at
from streams.errors import InputError
from streams.kafka.bad_values import Reason
from streams.kafka.codec import Encoder, frame
from streams.kafka.dead_letters import Refused, dead_letter
from streams.kafka.registry import FileSchemas, newest
from tests.consumer.ground import ENCODER, PATIENCE_S, QUICK, Got, Ground, execution, got, in_loop, take, until, value
from tests.kafka.registry_server import running
from tests.kafka.shared_broker import SharedBroker

LETTERS = Encoder(FileSchemas(), ("dead_letter",))


def read(ground: Ground, count: int, group: str = "g", limits: Limits = QUICK) -> list[Got]:
    """Start a consumer, let it handle so many, and stop it."""

    async def story() -> list[Got]:
        async with ground.executions(group, limits=limits) as executions:
            return await take(executions, count)

    found: list[Got] = in_loop(story)
    return found


def buckets(found: list[Got]) -> list[int]:
    return [each.bucket for each in found]


def test_executions_come_decoded_and_in_order(ground: Ground) -> None:
    told = [execution("s1", n, ["AAPL", "MSFT"], metadata={"checked": n}) for n in range(20)]
    ground.put([*told, execution("s2", 20, [])])

    async def story() -> list[Execution]:
        found = []
        async with ground.executions() as executions:
            async for each in executions:
                found.append(each)
                if each.is_whole_universe:
                    executions.finish()
        return found

    found = in_loop(story)
    assert [got(each) for each in found] == [*map(got, told), Got("s2", 20, ())]
    assert (found[7].ts_ms, found[7].metadata, found[7].cause) == (7 * 60_000 + 7, {"checked": 7}, told[7].cause)
    assert [each.position.offset for each in found] == list(range(21))
    assert ground.committed() == 21


def test_a_restart_goes_on_where_the_last_one_ended(ground: Ground) -> None:
    ground.put([execution("s", n) for n in range(10)])
    assert buckets(read(ground, 4)) == [0, 1, 2, 3]
    assert ground.committed() == 4
    assert buckets(read(ground, 6)) == [4, 5, 6, 7, 8, 9]


def test_what_was_aborted_or_is_not_yet_committed_is_not_seen(ground: Ground) -> None:
    ground.put_in_transaction([execution("s", 0), execution("s", 1)], commit=True)
    ground.put_in_transaction([execution("s", 2), execution("s", 3)], commit=False)
    ground.put_in_transaction([execution("s", 4)], commit=True)
    assert buckets(read(ground, 3)) == [0, 1, 4]


def test_repeats_are_left_out_and_the_rest_of_an_execution_is_kept(ground: Ground) -> None:
    first = [execution("s", 0, ["A", "B"]), execution("s", 1, []), execution("s", 1, ["A"])]
    ground.put([*first, *first, execution("s", 0, ["C", "A", "D"]), execution("s", 1, []), execution("t", 0, ["A"])])

    async def story() -> None:
        async with ground.executions() as executions:
            assert await take(executions, 5) == [*map(got, first), Got("s", 0, ("C", "D")), Got("t", 0, ("A",))]
            assert executions.repeats == 4

    in_loop(story)


def test_a_repeat_after_a_restart_is_left_out(ground: Ground) -> None:
    first = [execution("s", n, ["A", "B"]) for n in range(5)]
    ground.put(first)
    assert len(read(ground, 5)) == 5
    ground.put([*first, execution("s", 4, ["B", "C"]), execution("s", 5)])
    assert read(ground, 2) == [Got("s", 4, ("C",)), Got("s", 5, ("AAPL",))]


def test_a_repeat_from_further_back_than_the_limit_comes_again(ground: Ground) -> None:
    ground.put([execution("s", n) for n in range(5)])
    assert len(read(ground, 5)) == 5
    ground.put([execution("s", n) for n in range(6)])
    limits = QUICK._replace(look_back_records=2)
    assert buckets(read(ground, 4, limits=limits)) == [0, 1, 2, 5]


def test_what_was_handed_out_and_not_handled_comes_again_after_a_restart(ground: Ground) -> None:
    """What was seen is not what was committed: only the latter may be left out."""
    ground.put([execution("s", n) for n in range(4)])

    async def story() -> None:
        async with ground.executions() as executions:
            async for each in executions:
                if got(each).bucket == 2:
                    break

    in_loop(story)
    assert ground.committed() == 2
    ground.put([execution("s", 1)])
    assert buckets(read(ground, 2)) == [2, 3]


def test_a_consumer_that_dies_loses_nothing(ground: Ground) -> None:
    ground.put([execution("s", n) for n in range(6)])

    async def story() -> None:
        executions = ground.executions(limits=QUICK._replace(commit_every_s=1e6))
        for _ in range(4):
            await anext(executions)
        assert executions._joined is not None
        joined = executions._joined
        joined.committer.cancel()
        await joined.consumer.stop()  # without a commit: as a crash, but that the group knows of it at once

    in_loop(story)
    assert ground.committed() < 0
    assert buckets(read(ground, 6)) == [0, 1, 2, 3, 4, 5]


def test_what_is_handled_is_committed_while_the_next_is_under_way(ground: Ground) -> None:
    ground.put([execution("s", n) for n in range(3)])

    async def story() -> None:
        async with ground.executions() as executions:
            for _ in range(3):
                await anext(executions)
            assert executions._joined is not None
            (held,) = (each for each in executions._joined.holding._held.values() if each.next_offset)
            await until(lambda: held.committed >= 2)
            assert await asyncio.to_thread(ground.committed) == 2

    in_loop(story)


def test_two_consumers_share_and_take_over_without_loss_or_repeat(ground: Ground) -> None:
    handled: Counter[Got] = Counter()
    told = [execution(f"s{n % 7}", n) for n in range(400)]

    async def consume(executions: Executions, tell: asyncio.Event) -> None:
        async with executions:
            async for each in executions:
                handled[got(each)] += 1
                tell.set()
                await asyncio.sleep(0)

    async def put(part: list[Execution]) -> None:
        for partition in (0, 1):
            mine = [each for each in part if got(each).bucket % 2 == partition]
            await asyncio.to_thread(ground.put, mine, partition=partition)

    async def all_handled(count: int) -> None:
        await until(lambda: handled.total() >= count)

    async def story() -> None:
        first, second = ground.executions(), ground.executions()
        begun, joined = asyncio.Event(), asyncio.Event()
        await put(told[:100])
        one = asyncio.create_task(consume(first, begun))
        await begun.wait()
        two = asyncio.create_task(consume(second, joined))
        await put(told[100:200])
        await until(lambda: len(first.partitions) == len(second.partitions) == 1)
        assert first.partitions + second.partitions in ([0, 1], [1, 0])
        await put(told[200:300])
        await put(told[150:250])  # repeats, which the new owner knows of only by looking back
        await all_handled(300)
        first.finish()
        await one
        await put(told[300:])
        await put(told[250:350])
        await all_handled(400)
        second.finish()
        await two

    in_loop(story)
    assert handled == Counter(map(got, told))


def test_partitions_are_let_go_only_when_what_is_under_way_is_handled_and_committed(ground: Ground) -> None:
    for partition in (0, 1):
        ground.put([execution(f"s{partition}", 0), execution(f"s{partition}", 1)], partition=partition)
    handled: Counter[Got] = Counter()

    async def second(executions: Executions, at_start: list[int]) -> None:
        async with executions:
            async for each in executions:
                at_start.append(handled.total())
                handled[got(each)] += 1
                if handled.total() == 4:
                    executions.finish()

    async def story() -> None:
        at_start: list[int] = []
        async with ground.executions() as first:
            held = await first.take()
            assert held is not None
            await until(lambda: len(first.partitions) == 2)
            other = ground.executions()
            taking_over = asyncio.create_task(second(other, at_start))
            await until(lambda: not first.partitions)
            assert held.let_go
            assert not other.partitions, "the group waits"
            handled[got(held.execution)] += 1
            held.done()
            await until(lambda: bool(other.partitions))
        await taking_over
        assert min(at_start) >= 1

    in_loop(story)
    assert set(handled.values()) == {1}
    assert len(handled) == 4


def test_the_end_does_not_wait_for_a_rebalance(ground: Ground) -> None:
    ground.put([execution("s", 0), execution("s", 1)])

    async def story() -> None:
        limits = QUICK._replace(hand_over_s=1e3)
        async with ground.executions(limits=limits) as first, ground.executions(limits=limits) as second:
            held = await first.take()
            assert held is not None
            other = asyncio.create_task(take(second, 1))
            await until(lambda: not first.partitions)
            reading = asyncio.create_task(first.take())
            await asyncio.sleep(0)
            first.finish()
            second.finish()
            assert await reading is None
            assert await other == []
            held.done()

    in_loop(story)
    assert ground.committed() == 1


def test_what_was_fetched_of_a_partition_that_goes_is_left_to_its_next_owner(ground: Ground) -> None:
    refused: list[int] = []
    ground.put([execution("s", 0), execution("s", 1), b"junk....."])

    async def story() -> None:
        async with ground.executions(on_bad=lambda record, _: refused.append(record.offset)) as executions:
            held = await executions.take()
            assert held is not None
            held.done()
            assert executions._joined is not None
            await executions._joined.holding.let_go()
            assert [await executions._opened(*each) for each in executions._fetched] == [None, None]

    in_loop(story)
    assert refused == []
    assert ground.committed() == 1


def test_who_does_not_end_in_time_has_it_come_again(ground: Ground) -> None:
    ground.put([execution("s", 0)])

    async def story() -> None:
        async with ground.executions(limits=QUICK._replace(hand_over_s=0.05)) as first:
            held = await first.take()
            assert held is not None
            async with ground.executions() as second:
                third = asyncio.create_task(take(second, 1))
                await until(lambda: not first.partitions)
                await first.stop()
                assert await third == [got(held.execution)]

    in_loop(story)


BAD = [
    (None, "null_value"),
    (b"", "truncated"),
    (b"{}......", "wrong_magic"),
    (frame(77, b"x"), "unknown_schema_id"),
    (value(execution())[:-3], "truncated"),
    (value(execution()) + b"!", "trailing_bytes"),
    (
        ENCODER.encode(
            "result",
            {
                **dict.fromkeys(("execution_id", "strategy_id", "status"), ""),
                "strategy_version": 0,
                "bucket_ms": 0,
                "ts": 0,
            },
        ),
        "schema_mismatch",
    ),
    (value(execution(scope="some")), "unknown_scope"),
    (value(execution(tickers=[], scope="tickers")), "no_tickers"),
]


def test_values_that_cannot_be_used_are_told_of_and_the_rest_goes_on(ground: Ground) -> None:
    told: list[Execution | bytes | None] = []
    for n, (bad, _) in enumerate(BAD):
        told += [bad, execution("s", n)]
    ground.put(told)
    refused: list[tuple[int, str]] = []

    def on_bad(record: Refused, reason: Reason) -> None:
        refused.append((record.offset, reason.word))
        assert (record.topic, record.partition, record.key) == (ground.topic, 0, b"hostile")
        assert record.value == BAD[record.offset // 2][0]

    async def story() -> list[Got]:
        async with ground.executions(on_bad=on_bad) as executions:
            found = await take(executions, len(BAD))
            assert executions.bad_values == len(BAD)
            return found

    assert buckets(in_loop(story)) == list(range(len(BAD)))
    assert refused == [(2 * n, word) for n, (_, word) in enumerate(BAD)]
    assert ground.committed() == 2 * len(BAD)


def test_without_a_callback_bad_values_are_logged_with_their_position(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.put([b"junk.....", execution("s", 1)])
    assert buckets(read(ground, 1)) == [1]
    assert f"left out {ground.topic}-0@0: wrong_magic" in caplog.text


def test_a_bad_value_that_could_not_be_told_of_is_told_of_again(ground: Ground) -> None:
    ground.put([execution("s", 0), b"junk.....", execution("s", 1)])
    letters: list[bytes] = []

    async def on_bad(record: Refused, reason: Reason) -> None:
        await asyncio.sleep(0)
        if not letters:
            letters.append(b"")
            raise ConnectionError("no letter went out")
        letters.append(dead_letter(LETTERS, record, reason).value)

    async def story() -> None:
        async with ground.executions(on_bad=on_bad) as executions:
            assert got(await anext(executions)).bucket == 0
            with pytest.raises(ConnectionError):
                await anext(executions)
        assert await asyncio.to_thread(ground.committed) == 1
        async with ground.executions(on_bad=on_bad) as executions:
            letters.clear()
            with pytest.raises(ConnectionError):
                await anext(executions)
            assert got(await anext(executions)).bucket == 1
            assert len(letters) == 2

    in_loop(story)


def test_nothing_is_fetched_ahead_without_limit(ground: Ground) -> None:
    ground.put([execution("s", n, [f"T{m}" for m in range(200)]) for n in range(3_000)])
    limits = QUICK._replace(fetch_records=10, partition_fetch_bytes=20_000, fetch_bytes=20_000)

    async def story() -> None:
        async with ground.executions(limits=limits) as executions:
            for _ in range(15):
                await anext(executions)
            await asyncio.sleep(0.3)
            assert executions._joined is not None
            assert len(executions._fetched) <= 10
            ahead = executions._joined.consumer._fetcher._records
            assert len(ahead) <= 2
            positions = [each.next_offset for each in executions._joined.holding._held.values()]
            assert max(positions) <= 15

    in_loop(story)


def test_a_registry_is_asked_and_waited_for(ground: Ground) -> None:
    text = newest("execution").text
    with running() as registry:
        registry.add(text, 900, subject=f"{ground.prefix}alert-executions-value")
        known = value(execution("s", 1))
        ground.put([frame(900, known[5:]), frame(901, known[5:]), frame(900, value(execution("s", 2))[5:])])
        registry.behaviour = lambda handler: handler.say(503, b"{}")
        changed = replace(ground.settings, schema_registry_url=registry.url)
        refused: list[str] = []

        async def story() -> list[Got]:
            limits = QUICK._replace(ask_again_s=0.05)
            told = Executions(changed, "g", limits=limits, on_bad=lambda _, reason: refused.append(reason.word))
            async with told as executions:
                first = asyncio.create_task(take(executions, 2))
                await until(lambda: bool(registry.asked))
                registry.behaviour = None
                return await first

        assert buckets(in_loop(story)) == [1, 2]
        assert refused == ["unknown_schema_id"]


def test_the_end_does_not_wait_for_a_registry(ground: Ground) -> None:
    ground.put([value(execution())])
    with running() as registry:
        registry.behaviour = lambda handler: handler.say(503, b"{}")
        changed = replace(ground.settings, schema_registry_url=registry.url)

        async def story() -> None:
            async with Executions(changed, "g", limits=QUICK._replace(ask_again_s=1e6)) as executions:
                waiting = asyncio.create_task(take(executions, 1))
                await until(lambda: bool(registry.asked))
                executions.finish()
                assert await waiting == []

        in_loop(story)
    assert ground.committed() < 0


def test_a_reader_that_was_cancelled_may_ask_again(ground: Ground) -> None:
    async def story() -> None:
        async with ground.executions() as executions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(executions), 0.05)
            await asyncio.to_thread(ground.put, [execution("s", n) for n in range(3)])
            found: list[Got] = []
            async with asyncio.timeout(PATIENCE_S):
                while len(found) < 3:
                    with contextlib.suppress(TimeoutError):
                        found.append(got(await asyncio.wait_for(anext(executions), 0.05)))
            assert buckets(found) == [0, 1, 2]

    in_loop(story)


def test_a_new_group_may_begin_at_the_end(ground: Ground) -> None:
    ground.put([execution("s", n) for n in range(5)])

    async def story() -> list[Got]:
        async with ground.executions(start_at="latest") as executions:
            first = asyncio.create_task(take(executions, 1))
            await until(lambda: len(executions.partitions) == 2)
            await asyncio.to_thread(ground.put, [execution("s", 9)])
            return await first

    assert buckets(in_loop(story)) == [9]


@pytest.mark.parametrize(
    ("bounds", "from_end", "expected"),
    [
        (Bounds(None, 3, 9), False, 3),
        (Bounds(None, 3, 9), True, 9),
        (Bounds(5, 3, 9), True, 5),
        (Bounds(9, 3, 9), False, 9),
        (Bounds(2, 3, 9), False, 3),
        (Bounds(10, 0, 9), False, 0),
    ],
)
def test_where_to_begin(bounds: Bounds, from_end: bool, expected: int) -> None:
    assert resume_at(bounds, "t-0", from_end=from_end) == expected


def test_a_topic_that_is_missing_is_told(real_broker: SharedBroker) -> None:
    nowhere = Ground(real_broker.bootstrap, "nowhere.")
    with pytest.raises(InputError, match=r"has no nowhere\.alert-executions.*tickgate topics apply"):
        read(nowhere, 1)


@pytest.mark.parametrize("group", ["", "tickgate"])
def test_the_group_of_the_worker_is_refused(ground: Ground, group: str) -> None:
    with pytest.raises(InputError, match="give it a name of its own"):
        read(ground, 1, group)
