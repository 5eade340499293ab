"""Specification section 3, and the topics beside it."""

from __future__ import annotations

import pytest

from baggage.domain.records import MAX_RECORD_BYTES
from baggage.provision.topics import BAG_LATEST, DEAD_LETTER, EVENTS, TOPICS, TRUTH, Cleanup, Topic
from baggage.settings import KafkaSettings

DISK = KafkaSettings().disk_bytes
SPECIFIED = {
    "flight.schedule.v1": ("compact", "flight_id"),
    "baggage.assignment.v1": ("compact", "bag_id"),
    "baggage.events.v1": ("delete", "bag_id"),
    "baggage.bag.latest.v1": ("compact", "bag_id"),
    "baggage.alerts.v1": ("delete", "flight_id|rule_id|window_start"),
    "baggage.notifications.v1": ("delete", "itinerary_id|type|version"),
}


def test_the_topics_are_the_six_of_the_specification_dead_letters_and_the_truth() -> None:
    assert {topic.name for topic in TOPICS} == {*SPECIFIED, DEAD_LETTER.name, TRUTH.name}


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.name in SPECIFIED], ids=lambda topic: topic.name)
def test_a_topic_has_the_specified_key_and_is_compacted_or_has_a_retention(topic: Topic) -> None:
    policy, key = SPECIFIED[topic.name]
    assert topic.key == key
    policies = topic.config(DISK)["cleanup.policy"].split(",")
    assert policy in policies
    assert ("retention.ms" in topic.config(DISK)) is ("delete" in policies)


def test_all_topics_have_the_time_of_the_broker() -> None:
    assert {topic.config(DISK)["message.timestamp.type"] for topic in TOPICS} == {"LogAppendTime"}


def test_the_bags_that_nobody_deletes_go_after_the_events_that_could_make_them_again() -> None:
    assert BAG_LATEST.retention is not None
    assert EVENTS.retention is not None
    assert BAG_LATEST.retention > EVENTS.retention


def test_a_dead_letter_has_room_for_the_largest_record_of_a_broker_by_default() -> None:
    assert DEAD_LETTER.max_message_bytes is not None
    assert DEAD_LETTER.max_message_bytes > 4 / 3 * 1024 * 1024 + MAX_RECORD_BYTES


@pytest.mark.parametrize("disk", [2**28, DISK, 100 * 2**30])
def test_what_has_a_retention_leaves_a_quarter_of_the_disk_to_the_rest(disk: int) -> None:
    """The rest are compacted topics, and Kafka's own."""
    bound = 0
    for topic in TOPICS:
        config = topic.config(disk)
        assert ("retention.bytes" in config) is (topic.cleanup is Cleanup.DELETE)
        if "retention.bytes" in config:
            assert int(config["segment.bytes"]) >= (topic.max_message_bytes or 2**20), "the largest record fits"
            bound += topic.partitions * (int(config["retention.bytes"]) + int(config["segment.bytes"]))
    assert bound <= 0.75 * disk
