"""Settings are read once from what they are given, and whatever is wrong names the variable and the remedy."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.asked import Asked
from streams.database_settings import DatabaseSettings
from streams.errors import InputError
from streams.settings import KNOWN, Settings, describe, markdown_table
from streams.topic_names import INPUTS, OUTPUTS

OTHERS = {
    "TICKGATE_BROKER": ("a:1, [::1]:2", "a:1,[::1]:2"),
    "TICKGATE_TOPIC_PREFIX": ("w7.", "w7."),
    "TICKGATE_APP_ID": ("other", "other"),
    "TICKGATE_PROCESSING_GUARANTEE": ("AT_LEAST_ONCE", "at_least_once"),
    "TICKGATE_SCHEMA_REGISTRY_URL": ("https://r:8081/", "https://r:8081"),
    "PER_TICKER_THROTTLE": ("false", False),
    "USE_SYMBOL_UPDATE_TRACKING": ("off", False),
    "TICKGATE_CLOCK": ("off", False),
    "TICKGATE_CONDITIONS": ("c.json", Path("c.json")),
    "TICKGATE_WEB_HOST": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - only read
    "TICKGATE_COALESCE_MS": ("60000", 60_000),
    "TICKGATE_WEB_PORT": ("0", 0),
    "TICKGATE_ADVERTISED_URL": ("http://w1:6066/", "http://w1:6066"),
    "TICKGATE_LOG_LEVEL": ("Debug", "debug"),
    "TICKGATE_DATA_DIR": ("/d", Path("/d")),
    "TICKGATE_POLYGON_KEY": ("k@1", "k@1"),
    "TICKGATE_FEED_CA_FILE": ("/etc/feed.pem", Path("/etc/feed.pem")),
    "TICKGATE_KERNEL_CACHE": ("/k", Path("/k")),
    "TICKGATE_CACHE": ("/c", Path("/c")),
    "TICKGATE_REPORT_MS": ("1000", 1_000),
    "TICKGATE_SHADOW": ("true", True),
    "TICKGATE_DECISIONS": ("s1, s2", Asked(frozenset({"s1", "s2"}))),
    "TICKGATE_COMPRESSION": ("zstd", "zstd"),
    "TICKGATE_STANDBY_REPLICAS": ("1", 1),
    "TICKGATE_SESSION_TIMEOUT_MS": ("6001", 6_001),
    "TICKGATE_HEARTBEAT_MS": ("50", 50),
    "TICKGATE_FETCH_MAX_WAIT_MS": ("1", 1),
    "TICKGATE_MAX_PARTITION_FETCH_BYTES": ("65536", 65_536),
    "TICKGATE_CHECKPOINT_MAX_TICKS": ("1", 1),
    "TICKGATE_CHECKPOINT_MAX_RUNS": (" 1 ", 1),
    "TICKGATE_CHECKPOINT_MAX_BYTES": ("65536", 65_536),
    "TICKGATE_CHECKPOINT_MS": ("0", 0),
    "TICKGATE_CHECKPOINT_TIMEOUT_MS": ("1000", 1_000),
    "TICKGATE_DISCOVERY_MIN_INTERVAL_MS": ("0", 0),
    "TICKGATE_DATABASE_URL": ("postgresql://u:p@h:5433/d", "postgresql://u:p@h:5433/d"),
    "TICKGATE_DATABASE_INTERVAL_MS": ("250", 250),
    "TICKGATE_DATABASE_TIMEOUT_MS": ("1500", 1_500),
    "TICKGATE_REDIS_URL": ("redis://a:1/0, rediss://b/1", "redis://a:1/0,rediss://b/1"),
    "TICKGATE_REDIS_PREFIX": ("{tg}:", "{tg}:"),
    "TICKGATE_REDIS_BATCH": ("1", 1),
    "TICKGATE_REDIS_INTERVAL_MS": ("0", 0),
    "TICKGATE_REDIS_TIMEOUT_MS": ("100", 100),
    "TICKGATE_REDIS_LUA_THRESHOLD": ("0", 0),
    "TICKGATE_REDIS_CLEANUP_FIRST_MS": ("0", 0),
    "TICKGATE_REDIS_CLEANUP_EVERY_MS": ("1", 1),
    "TICKGATE_REDIS_RETENTION_DAYS": ("1", 1),
}
"""Each variable with a text that is not its default, and the value."""

SECURE = {
    "TICKGATE_SECURITY_PROTOCOL": ("sasl_ssl", "SASL_SSL"),
    "TICKGATE_SASL_MECHANISM": ("scram-sha-512", "SCRAM-SHA-512"),
    "TICKGATE_SASL_USERNAME": ("me", "me"),
    "TICKGATE_SASL_PASSWORD": ("Secret@1", "Secret@1"),
    "TICKGATE_SSL_CA_FILE": ("/ca.pem", Path("/ca.pem")),
    "TICKGATE_SSL_CERT_FILE": ("/c.pem", Path("/c.pem")),
    "TICKGATE_SSL_KEY_FILE": ("/k.pem", Path("/k.pem")),
}
"""The same for those that only go together."""

SECURED = {variable: text for variable, (text, _) in SECURE.items()}


def refused(environment: dict[str, str]) -> InputError:
    with pytest.raises(InputError) as caught:
        Settings.read(environment)
    return caught.value


def test_nothing_set_gives_the_defaults_and_so_does_nothing_but_empty_texts() -> None:
    assert Settings.read({}) == Settings()
    assert Settings.read(dict.fromkeys((known.variable for known in KNOWN.values()), " ")) == Settings()


def test_unset_flags_mean_per_ticker_and_tracked() -> None:
    settings = Settings.read({})
    assert settings.per_ticker_throttle
    assert settings.use_symbol_update_tracking


@pytest.mark.parametrize("field", [field for field, known in KNOWN.items() if known.variable not in SECURE])
def test_each_variable_sets_its_field_and_no_other(field: str) -> None:
    variable = KNOWN[field].variable
    text, value = OTHERS[variable]
    settings = Settings.read({variable: text})
    changed = [each.name for each in fields(Settings) if getattr(settings, each.name) != getattr(Settings(), each.name)]
    assert changed == [field]
    assert getattr(settings, field) == value


def test_what_secures_connections_is_set_together() -> None:
    settings = Settings.read(SECURED)
    found = {known.variable: getattr(settings, field) for field, known in KNOWN.items() if known.variable in SECURE}
    assert found == {variable: value for variable, (_, value) in SECURE.items()}
    changed = [each.name for each in fields(Settings) if getattr(settings, each.name) != getattr(Settings(), each.name)]
    assert len(changed) == len(SECURE)


SASL = ["TICKGATE_SASL_MECHANISM", "TICKGATE_SASL_USERNAME", "TICKGATE_SASL_PASSWORD"]
TLS = ["TICKGATE_SSL_CA_FILE", "TICKGATE_SSL_CERT_FILE", "TICKGATE_SSL_KEY_FILE"]


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("missing", SASL)
def test_sasl_without_all_that_it_needs_is_refused(protocol: str, missing: str) -> None:
    given = {"TICKGATE_SECURITY_PROTOCOL": protocol, **{each: SECURED[each] for each in SASL}}
    assert Settings.read(given).uses_sasl
    error = refused({name: text for name, text in given.items() if name != missing})
    assert (error.place, error.remedy) == (missing, "set it")
    assert f"TICKGATE_SECURITY_PROTOCOL, which is {protocol}" in error.problem


@pytest.mark.parametrize(
    ("protocol", "unused"),
    [
        *(("PLAINTEXT", each) for each in SASL + TLS),
        *(("SSL", each) for each in SASL),
        *(("SASL_PLAINTEXT", each) for each in TLS),
    ],
)
def test_what_the_protocol_would_leave_unused_is_refused(protocol: str, unused: str) -> None:
    needed = {each: SECURED[each] for each in SASL} if protocol.startswith("SASL") else {}
    environment = {"TICKGATE_SECURITY_PROTOCOL": protocol, **needed}
    Settings.read(environment)
    error = refused({**environment, unused: SECURED[unused]})
    assert error.place == unused
    assert "would not be used" in error.problem
    assert "remove this" in error.remedy


@pytest.mark.parametrize(("given", "missing"), [TLS[1:], TLS[:0:-1]])
def test_a_certificate_and_its_key_go_together(given: str, missing: str) -> None:
    error = refused({"TICKGATE_SECURITY_PROTOCOL": "SSL", given: "/f.pem"})
    assert error.place == missing
    assert given in error.problem


def test_the_password_is_never_shown() -> None:
    settings = Settings.read(SECURED)
    shown = [each.shown()["TICKGATE_SASL_PASSWORD"] for each in (settings, Settings())]
    assert shown == ["***", ""]
    for missing in SECURED.keys() - {"TICKGATE_SASL_PASSWORD", *TLS}:
        error = refused({name: text for name, text in SECURED.items() if name != missing})
        assert "Secret" not in str(error)
    assert "Secret" not in f"{settings} {settings!r} {settings.shown()}"


def test_nor_is_the_key_of_a_feed() -> None:
    settings = Settings.read({"TICKGATE_POLYGON_KEY": "k@1"})
    assert settings.polygon_key == "k@1"
    assert settings.shown()["TICKGATE_POLYGON_KEY"] == "***"
    assert "k@1" not in f"{settings} {settings!r} {settings.shown()}"


def test_every_field_is_known_in_the_order_of_the_fields() -> None:
    around = [field.name for field in fields(DatabaseSettings)]
    own = [field.name for field in fields(Settings) if field.name not in around]
    assert list(KNOWN) == [*own, *around]


@pytest.mark.parametrize(
    "text", ["127.0.0.1:6379", "http://a", "redis://", "redis://a:x/0", "redis://a/b", "redis://a,"]
)
def test_what_is_no_address_of_redis_is_refused(text: str) -> None:
    error = refused({"TICKGATE_REDIS_URL": text})
    assert error.problem.endswith("is no address of Redis")
    assert error.remedy == "write such as redis://127.0.0.1:6379/0, several with commas"


def test_the_passwords_of_redis_are_not_shown() -> None:
    settings = Settings.read({"TICKGATE_REDIS_URL": "redis://me:Secret@a:1/0,redis://:Secret@b/0"})
    assert "Secret" not in f"{settings} {settings!r} {settings.shown()}"
    assert settings.shown()["TICKGATE_REDIS_URL"] == "redis://***@a:1/0,redis://***@b/0"
    assert settings.redis_urls == ["redis://me:Secret@a:1/0", "redis://:Secret@b/0"]
    assert "Secret" not in str(refused({"TICKGATE_REDIS_URL": "redis://me:Secret@a:x/0"}))


def test_every_default_is_what_its_own_text_would_give() -> None:
    for field, known in KNOWN.items():
        default = getattr(Settings(), field)
        if default not in {None, ""}:
            assert known.read(Settings().shown()[known.variable]) == default


def test_every_setting_is_described_in_one_line_and_one_row_of_the_table() -> None:
    rows = markdown_table().splitlines()
    assert [each.variable for each in describe()] == [known.variable for known in KNOWN.values()]
    assert len(rows) == 2 + len(KNOWN)
    for each, row in zip(describe(), rows[2:], strict=True):
        assert each.means
        assert "\n" not in each.means
        assert row.count("|") == 4
        assert each.variable in row


@pytest.mark.parametrize(
    ("variable", "text", "problem", "remedy"),
    [
        ("TICKGATE_BROKER", "kafka", "'kafka' is not HOST:PORT", "such as 127.0.0.1:9092"),
        ("TICKGATE_BROKER", "a:1,", "is not HOST:PORT", "several with commas"),
        ("TICKGATE_BROKER", "a:port", "is not HOST:PORT", "such as 127.0.0.1:9092"),
        ("TICKGATE_BROKER", "a:\u0661", "is not HOST:PORT", "such as 127.0.0.1:9092"),
        ("TICKGATE_BROKER", "a:70000", "is not HOST:PORT", "such as"),
        ("TICKGATE_BROKER", "kafka://a:1", "has a scheme in it", "write HOST:PORT alone"),
        ("TICKGATE_TOPIC_PREFIX", "a/b", "cannot stand in the name of a topic", "use letters"),
        ("TICKGATE_APP_ID", "a" * 65, "has 65 characters", "use 64 at most"),
        ("TICKGATE_PROCESSING_GUARANTEE", "once", "'once' is not known", "write exactly_once or at_least_once"),
        ("TICKGATE_SCHEMA_REGISTRY_URL", "registry:8081", "is no web address", "write such as http://"),
        ("TICKGATE_SCHEMA_REGISTRY_URL", "http://r:port", "is no web address", "write such as http://"),
        ("TICKGATE_WEB_HOST", "a b", "is no host", "such as 127.0.0.1"),
        ("TICKGATE_WEB_PORT", "65536", "is out of range", "from 0 to 65535"),
        ("TICKGATE_WEB_PORT", "-1", "is out of range", "from 0 to 65535"),
        ("TICKGATE_WEB_PORT", "6066.0", "is not a whole number", "from 0 to 65535"),
        ("TICKGATE_SESSION_TIMEOUT_MS", "499", "is out of range", "from 500 to 1800000"),
        ("TICKGATE_COMPRESSION", "brotli", "is not known", "write none, gzip, snappy, lz4 or zstd"),
        ("TICKGATE_DATA_DIR", "~/data", "begins with a ~", "write the whole path"),
        ("PER_TICKER_THROTTLE", "maybe", "is neither true nor false", "write one of the two"),
    ],
)
def test_what_cannot_be_used_names_the_variable_the_value_and_the_remedy(
    variable: str, text: str, problem: str, remedy: str
) -> None:
    error = refused({variable: text})
    assert error.place == variable
    assert problem in error.problem
    assert remedy in error.remedy
    assert text[:30] in error.problem


def test_heartbeats_that_do_not_fit_thrice_into_a_session_are_refused() -> None:
    error = refused({"TICKGATE_SESSION_TIMEOUT_MS": "6000", "TICKGATE_HEARTBEAT_MS": "2001"})
    assert error.place == "TICKGATE_HEARTBEAT_MS"
    assert "TICKGATE_SESSION_TIMEOUT_MS, which is 6000" in error.problem
    assert Settings.read({"TICKGATE_SESSION_TIMEOUT_MS": "6000", "TICKGATE_HEARTBEAT_MS": "2000"}).heartbeat_ms == 2000


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("TICKGATE_BROKERS", "did you mean TICKGATE_BROKER?"),
        ("TICKGATE_PROCESING_GUARANTEE", "did you mean TICKGATE_PROCESSING_GUARANTEE?"),
        ("TICKGATE_WBE_PORT", "did you mean TICKGATE_WEB_PORT?"),
        ("TICKGATE_PER_TICKER_THROTTLE", "did you mean PER_TICKER_THROTTLE?"),
        ("TICKGATE_FLAVOUR", "remove it; `tickgate settings` lists"),
    ],
)
def test_a_variable_of_ours_that_nothing_reads_is_refused_with_the_nearest(variable: str, remedy: str) -> None:
    error = refused({variable: "1"})
    assert (error.place, error.problem) == (variable, "there is no such setting")
    assert remedy in error.remedy


def test_what_kubernetes_adds_for_a_service_and_what_is_not_ours_is_let_be() -> None:
    service = {
        "TICKGATE_SERVICE_HOST": "10.0.0.1",
        "TICKGATE_SERVICE_PORT": "80",
        "TICKGATE_SERVICE_PORT_HTTP": "80",
        "TICKGATE_PORT": "tcp://10.0.0.1:80",
        "TICKGATE_PORT_80_TCP": "tcp://10.0.0.1:80",
        "TICKGATE_PORT_80_TCP_PROTO": "tcp",
        "TICKGATE_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.2",
    }
    assert Settings.read({**service, "HOME": "/", "tickgate_x": "1"}) == Settings()


def test_a_service_whose_name_hides_a_setting_is_told() -> None:
    assert "enableServiceLinks: false" in refused({"TICKGATE_WEB_PORT": "tcp://10.0.0.1:80"}).remedy


@pytest.mark.parametrize("address", ["http://user:p@ss@r:8081", "user:p@ss@r:8081"])
def test_a_password_in_an_address_is_never_shown(address: str) -> None:
    try:
        shown = Settings.read({"TICKGATE_SCHEMA_REGISTRY_URL": address}).shown()["TICKGATE_SCHEMA_REGISTRY_URL"]
    except InputError as error:
        shown = str(error)
    assert "***@r:8081" in shown
    assert "ss@" not in shown


def test_a_folder_with_an_at_sign_is_shown_as_it_is() -> None:
    assert Settings.read({"TICKGATE_DATA_DIR": "/a@b"}).shown()["TICKGATE_DATA_DIR"] == "/a@b"


def test_topic_names_carry_the_prefix_and_changelogs_the_application_too() -> None:
    topics = Settings.read({"TICKGATE_TOPIC_PREFIX": "w7.", "TICKGATE_APP_ID": "app"}).topics
    assert (topics.ticks, topics.strategy_changes, topics.controls, topics.clock) == (
        "w7.ticks",
        "w7.strategy-changes",
        "w7.controls",
        "w7.clock",
    )
    assert topics.journal == "w7.journal"
    assert (topics.conviction, topics.conviction_state) == ("w7.conviction", "w7.conviction-state")
    assert (topics.alert_executions, topics.alert_results, topics.proposals, topics.decisions) == (
        "w7.alert-executions",
        "w7.alert-results",
        "w7.proposals",
        "w7.decisions",
    )
    assert topics.dead_letters(topics.ticks) == "w7.ticks.dlq"
    assert topics.changelogs == ("w7.app-last_update-changelog", "w7.app-last_bucket-changelog")
    assert len(set(topics.all)) == len(topics.all) == 2 * len(INPUTS) + len(OUTPUTS) + 3 + 2


def test_environments_and_applications_form_groups_of_their_own() -> None:
    settings = (Settings(), Settings(topic_prefix="a."), Settings(app_id="b"))
    assert [each.group_id for each in settings] == ["tickgate", "a.tickgate", "b"]


def test_the_longest_topic_name_is_one_that_kafka_allows() -> None:
    longest = Settings.read({"TICKGATE_TOPIC_PREFIX": "p" * 64, "TICKGATE_APP_ID": "a" * 64})
    assert max(map(len, longest.topics.all)) <= 249


@given(st.sampled_from([known.variable for known in KNOWN.values()]), st.text(max_size=60))
@example("TICKGATE_REDIS_PREFIX", "@")
def test_any_text_is_a_value_or_an_input_error(variable: str, text: str) -> None:
    found: Settings | InputError
    try:
        found = Settings.read({variable: text})
    except InputError as error:
        found = error
    if isinstance(found, InputError):
        assert found.place in {variable, "TICKGATE_HEARTBEAT_MS"}
        assert found.remedy
    else:
        secret = {variable: text} if found.shown()[variable] == "***" else {}
        assert Settings.read({**found.shown(), **secret}) == found
