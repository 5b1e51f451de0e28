"""Reads which topics there should be from a file such as `deploy/topics.yaml`.

The file names topics without prefix and application, so one file serves all environments. It must say something of each
topic there is, and can say nothing of any other.
"""

import difflib
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from streams.entry_files.entry import Entry
from streams.entry_files.yaml_entries import yaml_entries
from streams.errors import InputError, os_trouble, shortened
from streams.kafka.topic_plan import Wanted
from streams.topic_names import CLOCK, CONVICTION_STATE, INPUTS, JOURNAL, OUTPUTS, TURNS, TopicNames

EVERY: Final = "*"
DEAD_LETTERS: Final = "*.dlq"
CHANGELOGS: Final = "*-changelog"
ENTRIES: Final = (EVERY, *INPUTS, *OUTPUTS, TURNS, JOURNAL, CONVICTION_STATE, DEAD_LETTERS, CHANGELOGS)
FOLLOWERS: Final = (CLOCK, JOURNAL, CHANGELOGS)
"""Their partitions are those of `ticks`, number by number."""

PLACED: Final = ("ticks", "strategy-changes", "controls", *FOLLOWERS)
"""Something hangs on which partition a key is in."""

FIELDS: Final = ("topic", "partitions", "replication", "config")
MAX_PARTITIONS: Final = 10_000
MAX_REPLICATION: Final = 32
_LEGAL_NAME: Final = re.compile(r"[a-z][a-z.]*")
_AS_DEFAULT: Final = "see how the file that comes along, deploy/topics.yaml, is written"


def wanted_topics(names: TopicNames, path: Path | None = None) -> list[Wanted]:
    """Read all topics of an environment from the file, or the one that comes along; raises `InputError`."""
    return _Reader(str(path or default_file()), _text(path or default_file())).topics(names)


def default_file() -> Traversable:
    """The file that comes along: beside this module where Tickgate is installed, in `deploy/` of a checkout."""
    installed = resources.files("streams.kafka").joinpath("topics.yaml")
    return installed if installed.is_file() else Path(__file__).parents[2] / "deploy" / "topics.yaml"


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(str(file), f"cannot be read ({os_trouble(error)})", "check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(str(file), f"not UTF-8 at byte {error.start}", "save the file in UTF-8") from error


class _Reader:
    """The entries of one file, by their names."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.entries: dict[str, Entry] = {}
        try:
            entries = list(yaml_entries(text, file, "topics"))
        except InputError as error:
            raise InputError(error.place, error.problem, _AS_DEFAULT) from error
        for entry in entries:
            self._add(entry)

    def topics(self, names: TopicNames) -> list[Wanted]:
        """Every topic of an environment, in the order of their names there."""
        found = []
        for name in names.all:
            entry = self._entry_name(name, names)
            if entry not in self.entries:
                raise InputError(self.file, f"nothing is said of {entry}", f"add an entry for it; {_AS_DEFAULT}")
            config = {**self._config(EVERY), **self._config(entry)}
            partitions, replication = self._partitions(entry), self._replication(entry)
            follows = names.ticks if entry in FOLLOWERS else ""
            found.append(Wanted(name, partitions, config, replication, entry in PLACED, follows))
        return found

    def _entry_name(self, topic: str, names: TopicNames) -> str:
        if topic in names.changelogs:
            return CHANGELOGS
        named = {*names.inputs, *names.outputs, names.turns, names.journal, names.conviction_state}
        return DEAD_LETTERS if topic not in named else topic.removeprefix(names.prefix)

    def _add(self, entry: Entry) -> None:
        """Keep an entry, its names checked."""
        for field in entry.fields:
            if field not in FIELDS:
                raise self._error(entry, field, f"there is no field {shortened(field)}", _near(field, FIELDS))
        name = entry.fields.get("topic")
        if not isinstance(name, str):
            raise self._error(entry, "topic", "the topic has no name", f"write one of {', '.join(ENTRIES)}")
        if name not in ENTRIES:
            raise self._error(entry, "topic", f"there is no topic {shortened(name)}", _near(name, ENTRIES))
        if name in self.entries:
            first = self.entries[name].line_of("topic")
            raise self._error(entry, "topic", f"{name} is there already, on line {first}", "keep one of the two")
        self.entries[name] = entry

    def _partitions(self, name: str) -> int:
        """A number, or that of the topic it follows."""
        entry = self.entries[name]
        value = entry.fields.get("partitions")
        if name in FOLLOWERS:
            if value != "ticks":
                problem = f"{name} must have as many partitions as ticks, number by number"
                raise self._error(entry, "partitions", problem, "write partitions: ticks")
            return self._number("ticks", "partitions", MAX_PARTITIONS)
        return self._number(name, "partitions", MAX_PARTITIONS)

    def _replication(self, name: str) -> int | None:
        for each in (name, EVERY):
            if each in self.entries and "replication" in self.entries[each].fields:
                return self._number(each, "replication", MAX_REPLICATION)
        return None

    def _number(self, name: str, field: str, most: int) -> int:
        value = self.entries[name].fields.get(field)
        if type(value) is not int or not 1 <= value <= most:
            problem = f"{field} of {name} is no number from 1 to {most}"
            raise self._error(self.entries[name], field, problem, "write one")
        return value

    def _config(self, name: str) -> dict[str, str]:
        """Kafka's settings of one entry, as texts."""
        entry = self.entries.get(name)
        if entry is None or entry.fields.get("config") is None:
            return {}
        config = entry.fields["config"]
        if not isinstance(config, dict):
            raise self._error(entry, "config", f"config of {name} is no mapping", "write name: value, each on a line")
        return {each: self._value(name, each, node.line, node.value) for each, node in config.items()}

    def _value(self, name: str, setting: str, line: int, value: Any) -> str:  # noqa: ANN401 - whatever the file holds
        place = f"{self.file}, line {line}, {name}"
        if not _LEGAL_NAME.fullmatch(setting):
            raise InputError(place, f"{shortened(setting)} is no setting of a topic", "write such as retention.ms")
        if type(value) is int:
            return str(value)
        if not isinstance(value, str) or not value:
            problem = f"{setting} is neither text nor a whole number"
            raise InputError(place, problem, 'put it in quotes: "0.5", "true"')
        return value

    def _error(self, entry: Entry, field: str, problem: str, remedy: str) -> InputError:
        return InputError(f"{self.file}, line {entry.line_of(field)}", problem, remedy)


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word[:80], known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
