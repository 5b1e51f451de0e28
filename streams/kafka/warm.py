"""Everything that is compiled, here and in the core, called once before a worker joins its group.

The compiler holds up the event loop; a worker that has joined would miss its heartbeats and lose its group.
It also leaves a process 300 MB larger, for good: so another process compiles, and this one reads what that one kept.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import llvmlite.binding as llvm
import numba
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.core import warm
from streams.core.conditions import ConditionTable
from streams.core.records import concatenated, records_of
from streams.kafka import tick_values
from streams.kafka.laid_out_batch import batches
from streams.kafka.record_batch import Response
from streams.kernel_cache import COMPILER_SETTING
from streams.process import end_with_parent
from streams.reference_data import load_conditions

log = logging.getLogger(__name__)

COMPILING: Final = (sys.executable, "-m", "streams.kafka.warm")


def compile_elsewhere() -> None:
    """Have everything compiled by a process of its own, where that has not been done on such a machine.

    Where it can't be done or kept, the warming up that follows compiles for itself.
    """
    if not mark().exists():
        log.info("compiling the kernel; the first start takes a quarter of a minute longer")
        code = subprocess.run(COMPILING, check=False).returncode  # noqa: S603 - names nothing but ourselves
        if code:
            log.warning("compiling in a process of its own ended with %d: this one compiles, and will be larger", code)


def mark() -> Path:
    """The file that says that everything is compiled: by this compiler, for this processor."""
    return Path(os.environ[COMPILER_SETTING]) / f"whole-{numba.__version__}-{llvm.get_host_cpu_name()}"


def main() -> None:
    """Compile everything and leave the mark."""
    end_with_parent()
    warm_up()
    mark().touch()


def warm_up(conditions: ConditionTable | None = None) -> None:
    """Take a tick through all that a worker does; with the condition table that comes along, where none is given."""
    table = conditions or load_conditions()
    warm.warm_up(table)
    tick_values.warm_up(table)
    warm_up_reading()
    warm_up_writing()


def warm_up_reading() -> None:
    """Read a batch of one record, in a transaction that was aborted and in one that was not."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 1, 0, 0, 1 << 10)
    builder.append(0, 0, b"key", b"value", [("header", b"value")])
    data = bytes(builder.build())
    nothing_aborted: list[tuple[int, int]] = []
    for aborted in (nothing_aborted, [(1, 0)]):
        run = Response(data, 0, aborted).next_run()
        if run is not None and len(run.columns):
            run.columns.headers(0)


def warm_up_writing() -> None:
    """Lay out a batch of one record."""
    records = concatenated([records_of([(b"key", b"value")], 0)])
    for batch in batches(records, compression="none", transactional=False, max_bytes=1 << 10):
        batch._build()  # noqa: SLF001 - as aiokafka calls it


if __name__ == "__main__":
    main()
