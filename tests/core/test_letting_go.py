"""What a replay calls lets go of the interpreter's lock; what a worker calls, for microseconds, does not."""

import numpy as np
import pytest

from streams.core import decode, kernel, numbered, order
from streams.core.shard import Shard
from streams.entry_files.line_lists_kernel import find_lists
from streams.kafka import batch_kernel
from streams.replay.sift_kernel import take_good
from tests.core.histories import CONDITIONS


def name(function: object) -> str:
    """The same in every process, as those that share the tests need it."""
    return str(vars(function)["py_func"].__name__)


def lets_go(function: object) -> bool:
    options: dict[str, bool] = vars(function)["targetoptions"]
    return options.get("nogil", False)


@pytest.mark.parametrize(
    "function",
    [
        kernel.long_step,
        decode.long_decode,
        decode.judge_codes,
        decode.find_names,
        numbered.look_up,
        order._lay_in_order,
        order.lay_step,
        take_good,
        find_lists,
        batch_kernel.long_scan,
        batch_kernel.long_read_records,
    ],
    ids=name,
)
def test_others_run_beside_the_long_calls_of_a_replay(function: object) -> None:
    assert lets_go(function)


@pytest.mark.parametrize(
    "function",
    [kernel.step, decode.decode, order._put_in_order, batch_kernel.scan, batch_kernel.read_records],
    ids=name,
)
def test_the_calls_of_a_worker_keep_the_lock(function: object) -> None:
    assert not lets_go(function)


@pytest.mark.parametrize("long_steps", [False, True])
def test_a_shard_steps_as_it_was_asked_to(*, long_steps: bool) -> None:
    assert lets_go(Shard(CONDITIONS, long_steps=long_steps)._kernel_step) is long_steps


@pytest.mark.parametrize("long_steps", [False, True])
def test_a_step_is_compiled_once_whether_times_may_be_written_or_not(*, long_steps: bool) -> None:
    shard = Shard(CONDITIONS, long_steps=long_steps)
    for writeable in (True, False):
        times_ms = np.array([60_000])
        times_ms.flags.writeable = writeable
        shard.step(shard.from_names(["A"], np.zeros(1, np.int32), times_ms, np.ones(1, np.uint8))[0])
        assert times_ms.flags.writeable is writeable, "what was given stays as it is"
    assert len(vars(shard._kernel_step)["overloads"]) == 1
