"""Every client of Kafka logs in and encrypts as the settings say, on a real broker that takes nobody else."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Producer
from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from bench import workload
from bench.kafka_ground import Ground, Place, import_strategies, make_topics, tickgate
from streams.core.events import Strategy
from streams.errors import InputError
from streams.kafka.kafka_jars import Unavailable
from streams.kafka.kafka_process import HOST, KafkaProcess
from streams.kafka.look_up import topic_sizes
from streams.kafka.registry import FileSchemas
from streams.kafka.security import for_aiokafka, for_confluent, for_faust
from streams.kafka.strategy_topic import read_standing, write_changes
from streams.kafka.topic_plan import Wanted
from streams.kafka.topics import Cluster, apply
from streams.kafka.whole_topic import committed_ends
from streams.settings import Settings
from tests.ports import free_ports

TOPIC = "strategy-changes"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that believes itself, and its key, in one file of PEM each and one of both."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    made = ("-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2")
    named = ("-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}")
    subprocess.run(["openssl", "req", "-x509", *made, *named], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return folder


@pytest.fixture(scope="module")
def secured(certificate: Path) -> Iterator[Settings]:
    """Settings for a broker that wants TLS, a certificate of ours, a name and a password."""
    plain, controller, secure = free_ports(3)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required user_me='pass word';"
    properties = {
        "listeners": f"PLAINTEXT://{HOST}:{plain},CONTROLLER://{HOST}:{controller},SECURE://{HOST}:{secure}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{plain},SECURE://{HOST}:{secure}",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": login,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate / "both.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificate / "cert.pem"),
        "ssl.client.auth": "required",
        "listener.name.secure.ssl.client.auth": "required",
    }
    try:
        broker = KafkaProcess.start(os.environ, properties, port=plain)
    except Unavailable as why:
        pytest.skip(f"needs a real Kafka of its own: {why}")
    with broker:
        yield settings(certificate, TICKGATE_BROKER=f"{HOST}:{secure}")


def variables(certificate: Path) -> dict[str, str]:
    return {
        "TICKGATE_SECURITY_PROTOCOL": "SASL_SSL",
        "TICKGATE_SASL_MECHANISM": "PLAIN",
        "TICKGATE_SASL_USERNAME": "me",
        "TICKGATE_SASL_PASSWORD": "pass word",
        "TICKGATE_SSL_CA_FILE": str(certificate / "cert.pem"),
        "TICKGATE_SSL_CERT_FILE": str(certificate / "cert.pem"),
        "TICKGATE_SSL_KEY_FILE": str(certificate / "key.pem"),
    }


def settings(certificate: Path, **more: str) -> Settings:
    return Settings.read({**variables(certificate), **more})


@pytest.fixture(scope="module")
def standing(secured: Settings) -> None:
    """A topic with one strategy, made and written on the secured way."""
    security = for_confluent(secured)
    apply(Cluster(secured.broker, security), [Wanted(TOPIC, 2, {})], grow=False)
    write_changes(secured.broker, TOPIC, FileSchemas(), [Strategy("s1", "5m")], 5, security=security)


@pytest.mark.usefixtures("standing")
def test_the_clients_of_the_commands_come_in(secured: Settings) -> None:
    security = for_confluent(secured)
    assert topic_sizes(secured.broker, [TOPIC], security) == {TOPIC: 2}
    assert sum(committed_ends(secured.broker, TOPIC, security).values()) == 1
    assert list(read_standing(secured.broker, TOPIC, FileSchemas(), security).strategies) == ["s1"]


async def sent_and_read(bootstrap: str, options: dict[str, Any]) -> bytes | None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **options) as producer:
        sent = await producer.send_and_wait(TOPIC, b"value", b"key", partition=0)
    async with AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, **options) as consumer:
        (tp, *_) = sorted(consumer.assignment())
        consumer.seek(tp, sent.offset)
        record = await consumer.getone(tp)
    value: bytes | None = record.value
    return value


@pytest.mark.usefixtures("standing")
def test_the_clients_of_a_worker_come_in(secured: Settings) -> None:
    assert asyncio.run(sent_and_read(secured.broker, for_aiokafka(secured))) == b"value"
    for_fausts_driver = dict(credentials_to_aiokafka_auth(for_faust(secured)))
    assert asyncio.run(sent_and_read(secured.broker, for_fausts_driver)) == b"value"


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_whole_worker_comes_in(
    secured: Settings, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarantee: str
) -> None:
    for name, value in variables(certificate).items():
        monkeypatch.setenv(name, value)
    place = Place(Ground(secured.broker, "secured", tmp_path), f"{guarantee}.", "secured", guarantee)
    make_topics(place)
    import_strategies(place, [Strategy("s1", "1m", frozenset({"AAPL"}))])
    sender = Producer({"bootstrap.servers": secured.broker, "partitioner": "murmur2", **for_confluent(secured)})
    for ts_ms in (60_000, 60_001, 120_000):
        sender.produce(place.topics.ticks, workload.encode("AAPL", ts_ms, 1.0), b"AAPL", timestamp=ts_ms)
    assert sender.flush(30) == 0
    told = json.loads(tickgate(place, "worker", "--drain"))
    assert (told["ticks"], told["fired_pairs"]) == (3, 2)


@pytest.mark.parametrize(
    "wrong", [{"TICKGATE_SASL_PASSWORD": "guessed"}, {"TICKGATE_SSL_CA_FILE": "other.pem"}], ids=["password", "ca"]
)
def test_nobody_else_comes_in(secured: Settings, certificate: Path, tmp_path: Path, wrong: dict[str, str]) -> None:
    made = ("-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "other.pem", "-subj", "/CN=localhost")
    subprocess.run(["openssl", "req", "-x509", *made], cwd=tmp_path, check=True, capture_output=True)
    wrong = {name: str(tmp_path / text) if text.endswith(".pem") else text for name, text in wrong.items()}
    stranger = settings(certificate, TICKGATE_BROKER=secured.broker, **wrong)
    with pytest.raises(InputError) as caught:
        Cluster(stranger.broker, for_confluent(stranger), answer_timeout_s=3).standing([TOPIC])
    assert "guessed" not in str(caught.value)


def test_a_broker_that_asks_for_nothing_is_given_nothing() -> None:
    plain = Settings()
    assert for_confluent(plain) == {"security.protocol": "PLAINTEXT"}
    assert for_aiokafka(plain) == {"security_protocol": "PLAINTEXT"}
    assert for_faust(plain) is None


@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_faust_makes_of_it_what_aiokafka_is_given(protocol: str) -> None:
    login = {"TICKGATE_SASL_MECHANISM": "SCRAM-SHA-512", "TICKGATE_SASL_USERNAME": "me", "TICKGATE_SASL_PASSWORD": "p"}
    given = Settings.read({"TICKGATE_SECURITY_PROTOCOL": protocol, **(login if protocol != "SSL" else {})})
    credentials = for_faust(given)
    assert isinstance(credentials, SSLCredentials if protocol == "SSL" else SASLCredentials)
    by_faust, by_us = dict(credentials_to_aiokafka_auth(credentials)), for_aiokafka(given)
    contexts = [by_faust.pop("ssl_context"), by_us.pop("ssl_context", None)]
    assert by_faust == by_us
    assert [context is not None for context in contexts] == [protocol.endswith("SSL")] * 2


@pytest.mark.parametrize(
    ("variable", "content"),
    [
        ("TICKGATE_SSL_CA_FILE", None),
        ("TICKGATE_SSL_CA_FILE", b"no PEM"),
        ("TICKGATE_SSL_CERT_FILE", None),
        ("TICKGATE_SSL_CERT_FILE", b"no PEM"),
        ("TICKGATE_SSL_KEY_FILE", None),
    ],
)
@pytest.mark.parametrize("options", [for_confluent, for_aiokafka, for_faust])
def test_a_file_that_is_of_no_use_is_named(
    certificate: Path, tmp_path: Path, variable: str, content: bytes | None, options: Any
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        options(settings(certificate, **{variable: str(path)}))
    assert caught.value.place == variable
    assert str(path) in caught.value.problem
