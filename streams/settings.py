"""What can be set from outside, read once from an environment: each setting's name, default, bounds and meaning.

    settings = Settings.read(os.environ)

An empty value counts as not set. A `TICKGATE_` variable that is not known here is refused: a misspelt name
would else leave a default in force, unseen.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from streams.core.asked import NOBODY, Asked
from streams.core.limits import MAX_COALESCE_MS
from streams.database_settings import DATABASE_MEANINGS, DatabaseSettings
from streams.errors import InputError, shortened
from streams.setting_readers import (
    MAX_APP_ID,
    MAX_PREFIX,
    addresses,
    choice,
    host,
    name,
    path,
    switch,
    url,
    whole_number,
    without_password,
)
from streams.topic_names import TopicNames

PREFIX: Final = "TICKGATE_"

PACES_MS: Final = {"exactly_once": 50, "at_least_once": 1_000}
"""By guarantee, `checkpoint_ms` where it is not set."""

_FOREIGN: Final = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_LINK: Final = re.compile(r"(tcp|udp|sctp)://.*")
"""What Kubernetes adds for every Service of the namespace, such as TICKGATE_X_PORT=tcp://...; no settings of ours."""


@dataclass(frozen=True, slots=True)
class Settings(DatabaseSettings):
    """All settings of one process, by their names here. Made once, passed down, never changed."""

    broker: str = "127.0.0.1:9092"
    topic_prefix: str = ""
    app_id: str = "tickgate"
    processing_guarantee: str = "exactly_once"
    schema_registry_url: str = ""
    per_ticker_throttle: bool = True
    use_symbol_update_tracking: bool = True
    coalesce_ms: int = 0
    clock: bool = True
    conditions: Path | None = None
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    advertised_url: str = ""
    log_level: str = "info"
    report_ms: int = 300_000
    decisions: Asked = NOBODY
    shadow: bool = False
    data_dir: Path | None = None
    polygon_key: str = field(default="", repr=False)
    feed_ca_file: Path | None = None
    kernel_cache: Path | None = None
    cache: Path | None = None
    compression: str = "lz4"
    standby_replicas: int = 0
    session_timeout_ms: int = 8_000
    heartbeat_ms: int = 2_000
    fetch_max_wait_ms: int = 100
    max_partition_fetch_bytes: int = 4 << 20
    checkpoint_max_ticks: int = 200_000
    checkpoint_max_runs: int = 256
    checkpoint_max_bytes: int = 16 << 20
    checkpoint_ms: int | None = None
    checkpoint_timeout_ms: int = 30_000
    discovery_min_interval_ms: int = 10_000
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read all settings, or raise `InputError` for the first that is wrong."""
        _refuse_unknown(environment)
        values = {}
        for each, known in KNOWN.items():
            text = environment.get(known.variable, "").strip()
            if text:
                values[each] = _read_one(known, text)
        settings = cls(**values)
        _check_heartbeat(settings)
        _check_security(settings)
        return settings

    @property
    def exactly_once(self) -> bool:
        """Whether checkpoints are transactions."""
        return self.processing_guarantee == "exactly_once"

    @property
    def checkpoint_interval_s(self) -> float:
        """The least time between two transactions of a shard, unless there is much to do.

        Exactly once, executions wait for it. At least once they do not: it is how far back a crash repeats.
        """
        chosen_ms = PACES_MS[self.processing_guarantee] if self.checkpoint_ms is None else self.checkpoint_ms
        return chosen_ms / 1000

    @property
    def uses_sasl(self) -> bool:
        """Whether clients name themselves to the broker."""
        return self.security_protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether connections to the broker are encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def group_id(self) -> str:
        """The consumer group, and Faust's application id. The prefix is part of it, so that environments stay apart."""
        return f"{self.topic_prefix}{self.app_id}"

    @property
    def topics(self) -> TopicNames:
        """The names of all topics."""
        return TopicNames(self.topic_prefix, self.app_id)

    def shown(self) -> dict[str, str]:
        """Each setting in force, by its variable; secrets left out."""
        shown = {known.variable: _as_text(getattr(self, each)) for each, known in KNOWN.items()}
        return {**shown, **{KNOWN[each].variable: "***" for each in _SECRETS if getattr(self, each)}}


class Known(NamedTuple):
    """One setting from outside: where it is read, how, and what it means."""

    variable: str
    read: Callable[[str], Any]
    means: str


_FETCH: Final = whole_number(64 << 10, 256 << 20)
_GUARANTEE: Final = choice("exactly_once", "at_least_once")
_LEVEL: Final = choice("debug", "info", "warning", "error")
_PROTOCOL: Final = choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISM: Final = choice("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PACES: Final = "{exactly_once} or, at least once, {at_least_once}".format(**PACES_MS)
_WINDOW: Final = whole_number(0, MAX_COALESCE_MS)
_DAY: Final = whole_number(0, 86_400_000)

_MEANINGS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    "broker": (addresses, "where Kafka is: `HOST:PORT`, several with commas"),
    "topic_prefix": (name(MAX_PREFIX), "stands before every topic, and names the environment"),
    "app_id": (name(MAX_APP_ID), "workers with the same id and prefix share the work"),
    "processing_guarantee": (_GUARANTEE, "or `at_least_once`: no transactions; a crash may repeat executions"),
    "schema_registry_url": (url, "a Confluent-compatible registry; if not set, ids come from `schemas/registry.json`"),
    "per_ticker_throttle": (switch, "`false`: one execution a bucket for a whole strategy"),
    "use_symbol_update_tracking": (switch, "`false`: each step looks at every pair; slower, the same fires"),
    "coalesce_ms": (_WINDOW, "so long, in stream time, fires of a strategy and bucket gather; 0: for a checkpoint"),
    "clock": (switch, "a quiet shard's owner writes a clock record when something is due; `false`: it does not"),
    "conditions": (path, "a condition table in JSON; if not set, the one that comes along"),
    "web_host": (host, "where health and metrics are served"),
    "web_port": (whole_number(0, 65_535), "on which port; 0 takes a free one"),
    "advertised_url": (url, "where other workers reach this web server; if not set, made of its host and port"),
    "log_level": (_LEVEL, "what is logged, with all that is graver; `debug`, `info`, `warning` or `error`"),
    "report_ms": (whole_number(1_000, 86_400_000), "how often a worker and the Redis view log what they counted"),
    "decisions": (Asked.read, "whose fires and skips are told on `decisions`: `sample:0.01`, or ids with commas"),
    "shadow": (switch, "`true`: what both throttles, of old and per ticker, would do is counted beside what is live"),
    "data_dir": (path, "folder for what may be lost; if not set, nothing is kept in files"),
    "polygon_key": (str, "the key that Polygon gave you, for `tickgate feed polygon`; never shown"),
    "feed_ca_file": (path, "certificates to believe where a live feed is `wss://`, in PEM; if not set, the system's"),
    "kernel_cache": (path, "folder for the compiled kernel, writable; if not set, the user's cache folder"),
    "cache": (path, "folder for Kafka's jars, in tests and demo; if not set, the user's cache folder"),
    "compression": (choice("none", "gzip", "snappy", "lz4", "zstd"), "of what is sent; or `none gzip snappy zstd`"),
    "standby_replicas": (whole_number(0, 16), "how many other workers keep a copy of a shard's state"),
    "session_timeout_ms": (whole_number(500, 1_800_000), "a worker that is silent for so long loses its shards"),
    "heartbeat_ms": (whole_number(50, 600_000), "time between two signs of life; a third of the session at most"),
    "fetch_max_wait_ms": (whole_number(1, 30_000), "how long the broker waits for records before it answers with none"),
    "max_partition_fetch_bytes": (_FETCH, "what one fetch brings of one partition; a larger batch comes whole"),
    "checkpoint_max_ticks": (whole_number(1, 1 << 22), "a checkpoint with so many ticks takes no further run"),
    "checkpoint_max_runs": (whole_number(1, 1_024), "runs of a shard that wait here; more are left with the broker"),
    "checkpoint_max_bytes": (whole_number(1 << 16, 1 << 30), "bytes of ticks of a shard that wait here; as above"),
    "checkpoint_ms": (whole_number(0, 10_000), f"least time between two transactions of a shard; if not set, {_PACES}"),
    "checkpoint_timeout_ms": (whole_number(1_000, 900_000), "after so long the broker gives a transaction up"),
    "discovery_min_interval_ms": (_DAY, "least event time between two changes of a universe by what workers report"),
    "security_protocol": (_PROTOCOL, "how Kafka is talked to; or `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`"),
    "sasl_mechanism": (_MECHANISM, "how to log in with SASL: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`"),
    "sasl_username": (str, "the name to log in with"),
    "sasl_password": (str, "the password to log in with; never shown"),
    "ssl_ca_file": (path, "certificates to believe, in PEM; if not set, the system's"),
    "ssl_cert_file": (path, "our own certificate, in PEM, for brokers that ask for one"),
    "ssl_key_file": (path, "the key of our certificate, in PEM, without a password"),
    **DATABASE_MEANINGS,
}
"""Of each field: how its text is read, and what it means."""

_SECRETS: Final = ("sasl_password", "polygon_key")
_OWN_NAMES: Final = {"per_ticker_throttle", "use_symbol_update_tracking"}
"""Flags that are older than this program, and keep their names."""

KNOWN: Final[Mapping[str, Known]] = {
    each: Known(("" if each in _OWN_NAMES else PREFIX) + each.upper(), *meaning) for each, meaning in _MEANINGS.items()
}
"""What can be set, by the name of its field."""


class Described(NamedTuple):
    """One setting for people."""

    variable: str
    default: str
    means: str


def describe() -> list[Described]:
    """Every setting with its default and its meaning, in the order of the fields."""
    defaults = Settings().shown()
    return [Described(known.variable, defaults[known.variable], known.means) for known in KNOWN.values()]


def markdown_table() -> str:
    """The settings as a table for the README."""
    rows = [f"| `{each.variable}` | {each.default and f'`{each.default}`'} | {each.means} |" for each in describe()]
    return "\n".join(["| setting | default | means |", "| --- | --- | --- |", *rows, ""])


def _read_one(known: Known, text: str) -> Any:  # noqa: ANN401 - any type
    """The value of one setting."""
    try:
        return known.read(text)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        if _LINK.fullmatch(text):
            remedy += "; Kubernetes set this for a Service of that name: put enableServiceLinks: false into the pod"
        raise InputError(known.variable, f"{shortened(without_password(text))} {problem}", remedy) from error


def _check_heartbeat(settings: Settings) -> None:
    """Three heartbeats must fit into a session: one may be lost, and one late."""
    most = settings.session_timeout_ms // 3
    if settings.heartbeat_ms > most:
        session = f"{KNOWN['session_timeout_ms'].variable}, which is {settings.session_timeout_ms}"
        problem = f"{settings.heartbeat_ms} is more than a third of {session}"
        raise InputError(KNOWN["heartbeat_ms"].variable, problem, f"write {most} or less, or a longer session")


def _check_security(settings: Settings) -> None:
    """What the protocol needs must be there; what it would leave unused is a mistake, maybe a dangerous one."""
    protocol = f"{KNOWN['security_protocol'].variable}, which is {settings.security_protocol}"
    for each in ("sasl_mechanism", "sasl_username", "sasl_password"):
        if settings.uses_sasl and not getattr(settings, each):
            raise InputError(KNOWN[each].variable, f"is not set; it is needed for {protocol}", "set it")
    for each in ("sasl_mechanism", "sasl_username", "sasl_password", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"):
        used, fits = (settings.uses_sasl, "SASL_SSL") if each.startswith("sasl") else (settings.uses_tls, "SSL")
        if getattr(settings, each) and not used:
            remedy = f"set that to such as {fits}, or remove this"
            raise InputError(KNOWN[each].variable, f"is set, and would not be used with {protocol}", remedy)
    pair = ("ssl_cert_file", "ssl_key_file")
    for each, other in (pair, pair[::-1]):
        if getattr(settings, each) and not getattr(settings, other):
            problem = f"is not set; {KNOWN[each].variable} is nothing without it"
            raise InputError(KNOWN[other].variable, problem, "set both, or none")


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Raise for the first variable of ours, by name, that nothing reads."""
    names = [known.variable for known in KNOWN.values()]
    for variable in sorted(set(_ours(environment)) - set(names)):
        bare = [each.removeprefix(PREFIX) for each in names]  # the prefix would make everything alike
        near = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, n=1)
        meant = near and names[bare.index(near[0])]
        remedy = f"did you mean {meant}?" if meant else "remove it; `tickgate settings` lists those there are"
        raise InputError(variable, "there is no such setting", remedy)


def _ours(environment: Mapping[str, str]) -> Iterator[str]:
    for variable, value in environment.items():
        foreign = _FOREIGN.fullmatch(variable) or (variable.endswith("_PORT") and _LINK.fullmatch(value))
        if variable.startswith(PREFIX) and not foreign:
            yield variable


def _as_text(value: Any) -> str:  # noqa: ANN401 - any type
    """A value as one would write it, but for passwords."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return without_password(value) if "://" in value else value
    return "" if value is None else str(value)
