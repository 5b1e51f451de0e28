"""For those who consume `alert-executions`: an iterator over them, and `run`, which also reports results back.

    async with Executions(settings, "my-strategies") as executions:
        async for execution in executions:
            ...

What is promised: each execution is handed out at least once, in the order of its strategy; nothing is committed that
has not been handled; a pair of strategy, ticker and bucket that was handed out lately is not handed out again.
"""

from streams.consumer.execution import Execution, Position
from streams.consumer.executions import Executions
from streams.consumer.limits import Limits
from streams.consumer.report import SKIPPED, Report, Trigger
from streams.consumer.running import run

__all__ = ["SKIPPED", "Execution", "Executions", "Limits", "Position", "Report", "Trigger", "run"]
