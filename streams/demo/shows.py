"""Two ways to show a demonstration: a picture on a terminal that is drawn anew, and lines for everything else."""

from collections.abc import Callable
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from streams.demo.screen import Moment, line, screen

LINE_EVERY_S: Final = 2.0


class PlainShow:
    """A line now and then."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._due_s = 0.0

    def say(self, text: str) -> None:
        """A line between two stages."""
        self._write(text)

    def moment(self, moment: Moment) -> None:
        """A line, if the last one is some time ago."""
        if moment.elapsed_s >= self._due_s:
            self._due_s = moment.elapsed_s + LINE_EVERY_S
            self._write(line(moment))


class LiveShow:
    """The picture."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays, above the picture."""
        self._live.console.print(text, highlight=False)

    def moment(self, moment: Moment) -> None:
        """Draw."""
        self._live.update(screen(moment), refresh=True)
