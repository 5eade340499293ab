"""The way in for real feeds, on a real broker with the properties of overlays/components/kafka-external."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
import yaml
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from baggage.local import kafka_broker
from baggage.provision.kafka import FEEDS_USER, create_feeds_user, create_topics, reload_certificates
from baggage.provision.topics import FEEDS, TOPICS
from baggage.settings import KafkaSettings, LocalSettings
from tests.servers import free_ports

ROOT = Path(__file__).parents[2]
INSIDE, CONTROLLER, OUTSIDE = free_ports(3)
SETTINGS = KafkaSettings(bootstrap_servers=f"127.0.0.1:{INSIDE}", feeds_password=SecretStr("the first password"))


def properties_of_the_component() -> dict[str, str]:
    """The broker's properties that the environment variables of the component stand for, as the image makes them."""
    manifest = yaml.safe_load((ROOT / "overlays/components/kafka-external/statefulset.yaml").read_text())
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    hyphens = {each["name"].removeprefix("KAFKA_").replace("___", "-"): each["value"] for each in container["env"]}
    return {name.replace("_", ".").lower(): value for name, value in hyphens.items()}


def issue_certificate(file: Path) -> str:
    """Write a key and its certificate, as cert-manager combines them; return the certificate of the authority."""
    ca = trustme.CA()
    # A renewed certificate has the names of the old one; the broker takes no other.
    issued = ca.issue_cert("127.0.0.1", organization_name="Baggage", organization_unit_name="Kafka")
    chain = issued.private_key_and_cert_chain_pem.bytes()
    key = serialization.load_pem_private_key(chain, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(key + chain[chain.index(b"-----BEGIN CERTIFICATE") :])
    return ca.cert_pem.bytes().decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with both listeners; the certificate of the authority of the outer one."""
    directory = tmp_path_factory.mktemp("kafka")
    authority = issue_certificate(directory / "combined.pem")
    jars = (ROOT / LocalSettings().jar_dir).resolve()
    broker = kafka_broker.broker_process(directory / "broker", directory, jars, INSIDE, CONTROLLER)
    host = "127.0.0.1"
    properties = properties_of_the_component() | {
        "listeners": f"PLAINTEXT://{host}:{INSIDE},CONTROLLER://{host}:{CONTROLLER},EXTERNAL://{host}:{OUTSIDE}",
        "advertised.listeners": f"PLAINTEXT://{host}:{INSIDE},EXTERNAL://{host}:{OUTSIDE}",
        "listener.name.external.ssl.keystore.location": str(directory / "combined.pem"),
    }
    with (directory / "broker" / "server.properties").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in properties.items())
    broker.start()
    try:
        broker.wait_until(lambda: kafka_broker.answers_metadata(INSIDE), 60)
        create_topics(SETTINGS)
        create_feeds_user(SETTINGS)
        yield authority
    finally:
        broker.stop()


def client(authority: str, password: str, **changed: str) -> dict[str, str | int]:
    given: dict[str, str | int] = {
        "bootstrap.servers": f"127.0.0.1:{OUTSIDE}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": FEEDS_USER,
        "sasl.password": password,
        "ssl.ca.pem": authority,
        "message.timeout.ms": 5000,
        "log_level": 0,
    }
    return given | changed


def produce(configuration: dict[str, str | int], topic: str) -> KafkaError | None:
    """Write a record; return why that was refused, None if it was not."""
    refusals: list[KafkaError | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        refusals.append(error)

    producer = Producer(configuration)
    producer.produce(topic, b"{}", b"key", on_delivery=delivered)
    producer.flush(20)
    (refusal,) = refusals
    return refusal


def password() -> str:
    assert SETTINGS.feeds_password
    return SETTINGS.feeds_password.get_secret_value()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_feeds_write_their_topics_and_no_other(authority: str, topic: object) -> None:
    refusal = produce(client(authority, password()), topic.name)  # type: ignore[attr-defined]
    if topic in FEEDS:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_feeds_read_nothing(authority: str) -> None:
    consumer = Consumer(client(authority, password()) | {"group.id": "spy"})
    consumer.assign([TopicPartition(FEEDS[0].name, 0, 0)])
    message = consumer.poll(20)
    assert message is not None
    error = message.error()
    assert error is not None
    assert error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
    consumer.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"sasl.password": "another"},
        {"sasl.username": "nobody"},
        {"security.protocol": "SASL_PLAINTEXT"},
        {"security.protocol": "PLAINTEXT"},
        {"security.protocol": "SSL"},
    ],
    ids=str,
)
def test_who_is_not_the_feeds_does_not_come_in(authority: str, changed: dict[str, str]) -> None:
    assert produce(client(authority, password(), **changed), FEEDS[0].name) is not None


def test_a_rotated_password_takes_the_place_of_the_old_one(authority: str) -> None:
    create_feeds_user(SETTINGS.model_copy(update={"feeds_password": SecretStr("the second password")}))
    try:
        assert produce(client(authority, "the second password"), FEEDS[0].name) is None
        assert produce(client(authority, password()), FEEDS[0].name) is not None
    finally:
        create_feeds_user(SETTINGS)


def test_a_renewed_certificate_takes_the_place_of_the_old_one(authority: str) -> None:
    (file,) = map(Path, reload_certificates(SETTINGS))
    before = file.read_bytes()
    renewed = issue_certificate(file)
    reload_certificates(SETTINGS)
    wait_until(lambda: produce(client(renewed, password()), FEEDS[0].name) is None)
    assert produce(client(authority, password()), FEEDS[0].name) is not None
    file.write_bytes(before)
    reload_certificates(SETTINGS)
    wait_until(lambda: produce(client(authority, password()), FEEDS[0].name) is None)


def wait_until(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Wait until a condition is true: a broker applies its configuration a moment after it has taken it."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about"


def test_our_own_pods_need_no_password() -> None:
    assert produce({"bootstrap.servers": f"127.0.0.1:{INSIDE}"}, TOPICS[-1].name) is None


def test_without_a_password_there_is_no_user() -> None:
    with pytest.raises(ValueError, match="BAGGAGE_KAFKA__FEEDS_PASSWORD is not set"):
        create_feeds_user(KafkaSettings())
