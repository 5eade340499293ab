"""Creates the topics and the user of the feeds; safe to run again (specification section 3)."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from baggage.provision.topics import FEEDS, TOPICS, Topic
from baggage.settings import KafkaSettings

#: The user that an airport's own feeds have at the external listener.
FEEDS_USER = "feeds"

_TIMEOUT = 30
_SCRAM_ITERATIONS = 8192


def create_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that are missing and bring the configuration of all to what is declared.

    Returns the names of those created. Raises KafkaException where the broker refuses, and ValueError for a topic
    with other partitions than declared: repartitioning moves keys, which is nothing to do in passing.
    """
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    created = [topic.name for topic in TOPICS if _create(admin, topic, settings)]
    _check_partitions(admin)
    configurations = [_configuration(topic, settings) for topic in TOPICS]
    for future in admin.incremental_alter_configs(configurations, request_timeout=_TIMEOUT).values():
        future.result()
    return created


def create_feeds_user(settings: KafkaSettings) -> None:
    """Give the user of the feeds its password, and the right to write the feeds' topics and nothing else.

    Raises ValueError without a password, and KafkaException where the broker refuses.
    """
    if settings.feeds_password is None:
        raise ValueError("BAGGAGE_KAFKA__FEEDS_PASSWORD is not set")
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    credential = UserScramCredentialUpsertion(
        FEEDS_USER,
        ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS),
        settings.feeds_password.get_secret_value().encode(),
    )
    rights = [
        AclBinding(
            ResourceType.TOPIC,
            topic.name,
            ResourcePatternType.LITERAL,
            f"User:{FEEDS_USER}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for topic in FEEDS
        for operation in (AclOperation.WRITE, AclOperation.DESCRIBE)
    ]
    credentials = admin.alter_user_scram_credentials([credential], request_timeout=_TIMEOUT)
    acls = admin.create_acls(rights, request_timeout=_TIMEOUT)
    for future in (*credentials.values(), *acls.values()):
        future.result()


def reload_certificates(settings: KafkaSettings) -> list[str]:
    """Have the brokers serve the certificates that their files hold now; return the names of those files.

    A broker looks at a keystore again when its configuration is set, to the same file, too. Raises KafkaException where
    one refuses.
    """
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    brokers = [
        ConfigResource(ResourceType.BROKER, str(number)) for number in admin.list_topics(timeout=_TIMEOUT).brokers
    ]
    described = admin.describe_configs(brokers, request_timeout=_TIMEOUT)
    keystores = {
        broker.name: entry
        for broker, entries in described.items()
        for name, entry in entries.result().items()
        if name.startswith("listener.name.") and name.endswith(".ssl.keystore.location")
    }
    again = [
        ConfigResource(
            ResourceType.BROKER,
            broker,
            incremental_configs=[ConfigEntry(entry.name, entry.value, incremental_operation=AlterConfigOpType.SET)],
        )
        for broker, entry in keystores.items()
    ]
    for future in admin.incremental_alter_configs(again, request_timeout=_TIMEOUT).values() if again else ():
        future.result()
    return sorted({entry.value for entry in keystores.values()})


def _create(admin: AdminClient, topic: Topic, settings: KafkaSettings) -> bool:
    new = NewTopic(topic.name, topic.partitions, settings.replication_factor, config=topic.config(settings.disk_bytes))
    try:
        admin.create_topics([new], operation_timeout=_TIMEOUT, request_timeout=_TIMEOUT)[topic.name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def _check_partitions(admin: AdminClient) -> None:
    existing = admin.list_topics(timeout=_TIMEOUT).topics
    for topic in TOPICS:
        partitions = len(existing[topic.name].partitions) if topic.name in existing else topic.partitions
        if partitions != topic.partitions:
            raise ValueError(f"topic {topic.name} has {partitions} partitions, expected {topic.partitions}")


def _configuration(topic: Topic, settings: KafkaSettings) -> ConfigResource:
    config = topic.config(settings.disk_bytes) | {"min.insync.replicas": str(settings.min_insync_replicas)}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()]
    return ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
