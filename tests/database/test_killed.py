"""PostgreSQL is killed and started again while two processes sync under load: nothing is lost, and nothing twice."""

import json
import threading
import time
from collections.abc import Callable, Sequence

import psycopg

from bench.postgres_server import PostgresServer
from streams.core.events import Strategy
from tests.database.ground import Ground, following, until
from tests.serving import got

STRATEGIES = 8
EDITS = 30


def test_nothing_is_lost_and_nothing_sent_twice_where_postgres_is_killed(
    on_postgres: Ground, postgres: PostgresServer
) -> None:
    ground = on_postgres
    assert ground.sync("--create").exit_code == 0
    for i in range(STRATEGIES):
        ground.add(f"p{i}", "START")
        ground.add(f"t{i}", "START")
    with following(ground) as (_, url), following(ground) as (other, _):
        until(lambda: len(ground.stands()) == 2 * STRATEGIES)
        stop = threading.Event()
        people = Load(lambda n: edit(ground, n), EDITS, stop)
        topic = Load(lambda n: discover(ground, n), EDITS, stop)
        with people, topic:
            for _ in range(2):
                at = people.done + topic.done
                until(lambda at=at: people.done + topic.done >= at + EDITS // 3)  # type: ignore[misc]
                postgres.kill()
                until(lambda: got(f"{url}/readyz")[0] == 503)
                postgres.start()
            other.kill()
        assert (people.trouble, topic.trouble) == ([], [])
        until(ground.is_equal)
        until(lambda: got(f"{url}/readyz")[0] == 200)
    last = {i: max(n for n in range(EDITS) if n % STRATEGIES == i) for i in range(STRATEGIES)}
    stands = ground.stands()
    for i, n in last.items():
        assert stands[f"p{i}"].universe == {f"P{n}"}, "the last edit of a person"
        assert stands[f"t{i}"] == Strategy(f"t{i}", "5m", frozenset({f"T{n}"}), version=2 + n // STRATEGIES)
    assert len(set(ground.sent())) == len(ground.sent())


class Load(threading.Thread):
    """Somebody who edits on and on; what the database refuses while it is down is done again."""

    def __init__(self, work: Callable[[int], None], times: int, stop: threading.Event) -> None:
        super().__init__()
        self._work, self._times, self._stop_it = work, times, stop
        self.done = 0
        self.trouble: Sequence[str] = []

    def run(self) -> None:
        for n in range(self._times):
            while not self._stop_it.is_set():
                try:
                    self._work(n)
                except psycopg.OperationalError:
                    time.sleep(0.05)
                except Exception as error:  # noqa: BLE001 - the test says so
                    self.trouble = [repr(error)]
                    return
                else:
                    break
            self.done += 1
            time.sleep(0.02)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self._stop_it.set()
        self.join()


def edit(ground: Ground, n: int) -> None:
    change = "update strategies set alert_universe_full = ?, row_version = row_version + 1 where strategy_id = ?"
    ground.sql(change, json.dumps([f"P{n}"]), f"p{n % STRATEGIES}")


def discover(ground: Ground, n: int) -> None:
    ground.write(Strategy(f"t{n % STRATEGIES}", "5m", frozenset({f"T{n}"}), version=2 + n // STRATEGIES))
