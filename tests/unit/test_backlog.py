"""Design, "Nothing is concluded from a backlog": what counts as read, partition by partition."""

from __future__ import annotations

from datetime import timedelta

from baggage.domain.backlog import IN_FLIGHT, QUIET, Backlog
from tests.builders import DEPARTURE, HOUR, MINUTE, SECOND

STARTED = DEPARTURE
JUST_BEFORE = timedelta.resolution


def continuous(*topics: str, partitions: int = 1) -> Backlog:
    """Of topics whose records come all the time."""
    made = Backlog(STARTED)
    for topic in topics:
        for partition in range(partitions):
            made.expect(topic, partition)
    return made


def ending(end: int) -> Backlog:
    """Of a topic whose partition ended at an offset when the job started."""
    made = Backlog(STARTED)
    made.expect("schedules", 0, end)
    return made


def test_without_inputs_there_is_nothing_to_read_and_what_is_on_its_way_comes_through() -> None:
    for empty in (Backlog(STARTED), ending(0)):
        assert not empty.is_read(STARTED)
        assert not empty.is_read(STARTED + IN_FLIGHT - JUST_BEFORE)
        assert empty.is_read(STARTED + IN_FLIGHT)


def test_where_records_come_all_the_time_it_is_read_with_one_that_arrived_at_the_start_or_later() -> None:
    events = continuous("events")
    events.apply("events", 0, 7, STARTED - JUST_BEFORE, STARTED + SECOND)
    assert not events.is_read(STARTED + SECOND)
    events.apply("events", 0, 8, STARTED, STARTED + 2 * SECOND)
    assert not events.is_read(STARTED + 2 * SECOND), "it may be on its way between operators"
    assert events.is_read(STARTED + 2 * SECOND + IN_FLIGHT)


def test_elsewhere_it_is_read_with_the_last_record_that_was_there() -> None:
    schedules = ending(3)
    for offset in (0, 1):
        schedules.apply("schedules", 0, offset, STARTED - HOUR, STARTED + offset * SECOND)
        assert not schedules.is_read(STARTED + offset * SECOND)
    schedules.apply("schedules", 0, 2, STARTED - HOUR, STARTED + 2 * SECOND)
    assert not schedules.is_read(STARTED + 2 * SECOND)
    assert schedules.is_read(STARTED + 2 * SECOND + IN_FLIGHT)


def test_a_record_beyond_the_last_one_that_was_there_says_so_too() -> None:
    schedules = ending(3)
    schedules.apply("schedules", 0, 5, STARTED + SECOND, STARTED + SECOND)
    assert not schedules.is_read(STARTED + SECOND)
    assert schedules.is_read(STARTED + SECOND + IN_FLIGHT)


def test_where_the_end_is_known_a_present_record_is_not_the_end() -> None:
    schedules = ending(3)
    schedules.apply("schedules", 0, 0, STARTED, STARTED)
    assert not schedules.is_read(STARTED + MINUTE)
    assert not schedules.is_read(STARTED + MINUTE + IN_FLIGHT)


def test_every_partition_of_every_topic_must_be_read() -> None:
    both = continuous("events", "bags", partitions=2)
    both.expect("schedules", 0, 5)
    for topic, partition in [("events", 0), ("events", 1), ("bags", 1)]:
        both.apply(topic, partition, 0, STARTED, STARTED + SECOND)
        assert not both.is_read(STARTED + SECOND)
    both.apply("schedules", 0, 4, STARTED, STARTED + SECOND)
    assert not both.is_read(STARTED + MINUTE)
    both.apply("bags", 0, 0, STARTED, STARTED + MINUTE)
    assert not both.is_read(STARTED + MINUTE)
    assert both.is_read(STARTED + MINUTE + IN_FLIGHT)


def test_a_partition_that_brings_nothing_counts_as_read_after_two_minutes() -> None:
    for quiet in (continuous("events"), ending(3)):
        assert not quiet.is_read(STARTED + QUIET - JUST_BEFORE)
        assert not quiet.is_read(STARTED + QUIET)
        assert quiet.is_read(STARTED + QUIET + IN_FLIGHT)


def test_a_partition_that_comes_nearer_to_the_present_is_not_read_however_long_it_takes() -> None:
    events = continuous("events")
    now, arrived, offset = STARTED, STARTED - 2 * HOUR, 0
    while arrived < STARTED:
        events.apply("events", 0, offset, arrived, now)
        assert not events.is_read(now)
        now, arrived, offset = now + MINUTE, arrived + 2 * MINUTE, offset + 1
    events.apply("events", 0, offset, arrived, now)
    assert not events.is_read(now)
    assert events.is_read(now + IN_FLIGHT)


def test_a_feed_whose_clock_is_always_an_hour_late_does_not_silence_the_job() -> None:
    events = continuous("events")
    now = STARTED
    while now < STARTED + QUIET:
        events.apply("events", 0, 0, now - HOUR, now)
        assert not events.is_read(now)
        now += SECOND
    assert not events.is_read(now)
    assert events.is_read(now + IN_FLIGHT)


def test_less_than_ten_seconds_nearer_is_no_progress() -> None:
    for nearer, is_progress in ((IN_FLIGHT - JUST_BEFORE, False), (IN_FLIGHT, True)):
        events = continuous("events")
        events.apply("events", 0, 0, STARTED - HOUR, STARTED)
        events.apply("events", 0, 1, STARTED - HOUR + MINUTE + nearer, STARTED + MINUTE)
        events.is_read(STARTED + QUIET)
        assert events.is_read(STARTED + QUIET + IN_FLIGHT) is not is_progress


def test_an_older_record_takes_nothing_back() -> None:
    events = continuous("events")
    events.apply("events", 0, 1, STARTED, STARTED + SECOND)
    events.apply("events", 0, 0, STARTED - HOUR, STARTED + 2 * SECOND)
    assert not events.is_read(STARTED + 2 * SECOND)
    assert events.is_read(STARTED + 2 * SECOND + IN_FLIGHT)


def test_what_was_read_stays_read() -> None:
    events = continuous("events")
    assert not events.is_read(STARTED + QUIET)
    events.apply("events", 0, 0, STARTED - HOUR, STARTED + QUIET + SECOND)
    assert events.is_read(STARTED + QUIET + IN_FLIGHT)
    assert events.is_read(STARTED + 24 * HOUR)


def test_a_partition_that_nobody_expected_counts_too() -> None:
    unexpected = Backlog(STARTED)
    unexpected.apply("events", 3, 0, STARTED - HOUR, STARTED)
    assert not unexpected.is_read(STARTED + QUIET - JUST_BEFORE)
    assert not unexpected.is_read(STARTED + QUIET)
    assert unexpected.is_read(STARTED + QUIET + IN_FLIGHT)


def test_a_record_from_the_future_is_no_trouble() -> None:
    events = continuous("events")
    events.apply("events", 0, 0, STARTED + 24 * HOUR, STARTED)
    events.apply("events", 0, 1, STARTED + 24 * HOUR, STARTED + SECOND)
    assert not events.is_read(STARTED + SECOND)
    assert events.is_read(STARTED + SECOND + IN_FLIGHT)


def test_it_is_asked_again_at_the_same_times_whoever_asks_and_less_often_after_ten_minutes() -> None:
    events = continuous("events")

    def asked_again(*seconds: float) -> set[float]:
        return {(events.look_again_at(STARTED + n * SECOND) - STARTED) / SECOND for n in seconds}

    assert asked_again(0, 9.9) == {10}
    assert asked_again(10, 14) == {20}
    assert asked_again(59) == {60}
    assert asked_again(599) == {600}
    assert asked_again(600, 659) == {660}
    assert asked_again(7200, 7210) == {7260}
