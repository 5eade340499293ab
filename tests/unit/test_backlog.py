"""Design, "Nothing is concluded from a backlog": what counts as read, partition by partition."""

from __future__ import annotations

from datetime import timedelta

from baggage.domain.backlog import PRESENT, PROGRESS, QUIET, Backlog
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


def test_without_inputs_there_is_nothing_to_read() -> None:
    for empty in (Backlog(STARTED), ending(0)):
        assert empty.is_read(STARTED)


def test_where_records_come_all_the_time_it_is_read_with_one_that_arrived_at_the_start_or_later() -> None:
    events = continuous("events")
    events.apply("events", 0, 7, STARTED - JUST_BEFORE, STARTED + SECOND)
    assert not events.is_read(STARTED + SECOND)
    events.apply("events", 0, 8, STARTED, STARTED + 2 * SECOND)
    assert events.is_read(STARTED + 2 * SECOND)


def test_what_came_while_the_past_was_made_up_for_must_be_read_too() -> None:
    for age, is_present in ((PRESENT + JUST_BEFORE, False), (PRESENT, True)):
        events = continuous("events")
        events.apply("events", 0, 0, STARTED + SECOND, STARTED + SECOND + age)
        assert events.is_read(STARTED + SECOND + age) is is_present


def test_what_has_been_read_must_have_come_through_too() -> None:
    for backlog, topic, offset in ((continuous("events"), "events", 0), (ending(3), "schedules", 2)):
        backlog.apply(topic, 0, offset, STARTED + MINUTE, STARTED + MINUTE)
        assert not backlog.is_read(STARTED + MINUTE - JUST_BEFORE)
        assert backlog.is_read(STARTED + MINUTE)


def test_later_records_do_not_put_it_off() -> None:
    events = continuous("events")
    for second in range(1, 10):
        events.apply("events", 0, second, STARTED + second * SECOND, STARTED + second * SECOND)
    assert not events.is_read(STARTED)
    assert events.is_read(STARTED + SECOND)


def test_elsewhere_it_is_read_with_the_last_record_that_was_there() -> None:
    schedules = ending(3)
    for offset in (0, 1):
        schedules.apply("schedules", 0, offset, STARTED - HOUR, STARTED + offset * SECOND)
        assert not schedules.is_read(STARTED + offset * SECOND)
    schedules.apply("schedules", 0, 2, STARTED - HOUR, STARTED + 2 * SECOND)
    assert schedules.is_read(STARTED + 2 * SECOND)


def test_a_record_beyond_the_last_one_that_was_there_says_so_too() -> None:
    schedules = ending(3)
    schedules.apply("schedules", 0, 5, STARTED + SECOND, STARTED + SECOND)
    assert schedules.is_read(STARTED + SECOND)


def test_where_the_end_is_known_a_present_record_is_not_the_end() -> None:
    schedules = ending(3)
    schedules.apply("schedules", 0, 0, STARTED, STARTED)
    assert not schedules.is_read(STARTED + MINUTE)


def test_every_partition_of_every_topic_must_be_read() -> None:
    both = continuous("events", "bags", partitions=2)
    both.expect("schedules", 0, 5)
    for topic, partition in [("events", 0), ("events", 1), ("bags", 1)]:
        both.apply(topic, partition, 0, STARTED, STARTED + SECOND)
        assert not both.is_read(STARTED + SECOND)
    both.apply("schedules", 0, 4, STARTED, STARTED + SECOND)
    assert not both.is_read(STARTED + MINUTE)
    both.apply("bags", 0, 0, STARTED + MINUTE, STARTED + MINUTE)
    assert both.is_read(STARTED + MINUTE)


def test_a_partition_that_brings_nothing_counts_as_read_after_two_minutes() -> None:
    for quiet in (continuous("events"), ending(3)):
        assert not quiet.is_read(STARTED + QUIET - JUST_BEFORE)
        assert quiet.is_read(STARTED + QUIET)


def test_a_partition_that_comes_nearer_to_the_present_is_not_read_however_long_it_takes() -> None:
    events = continuous("events")
    now, arrived, offset = STARTED, STARTED - 2 * HOUR, 0
    while arrived < now - PRESENT:
        events.apply("events", 0, offset, arrived, now)
        assert not events.is_read(now)
        now, arrived, offset = now + MINUTE, arrived + 2 * MINUTE, offset + 1
    events.apply("events", 0, offset, arrived, now)
    assert events.is_read(now)


def test_a_feed_whose_clock_is_always_an_hour_late_does_not_silence_the_job() -> None:
    events = continuous("events")
    now = STARTED
    while now < STARTED + QUIET:
        events.apply("events", 0, 0, now - HOUR, now)
        assert not events.is_read(now)
        now += SECOND
    assert events.is_read(now)


def test_less_than_ten_seconds_nearer_is_no_progress() -> None:
    for nearer, is_progress in ((PROGRESS - JUST_BEFORE, False), (PROGRESS, True)):
        events = continuous("events")
        events.apply("events", 0, 0, STARTED - HOUR, STARTED)
        events.apply("events", 0, 1, STARTED - HOUR + MINUTE + nearer, STARTED + MINUTE)
        assert events.is_read(STARTED + QUIET) is not is_progress


def test_an_older_record_takes_nothing_back() -> None:
    events = continuous("events")
    events.apply("events", 0, 1, STARTED, STARTED + SECOND)
    events.apply("events", 0, 0, STARTED - HOUR, STARTED + 2 * SECOND)
    assert events.is_read(STARTED + SECOND)


def test_what_was_read_stays_read() -> None:
    events = continuous("events")
    assert events.is_read(STARTED + QUIET)
    events.apply("events", 0, 0, STARTED - HOUR, STARTED + QUIET + SECOND)
    assert events.is_read(STARTED + QUIET + SECOND)


def test_a_partition_that_was_added_to_a_topic_counts_too_but_not_another_topic() -> None:
    events = continuous("events")
    events.apply("events", 0, 0, STARTED, STARTED)
    events.apply("schedules", 0, 0, STARTED - HOUR, STARTED)
    events.apply("events", 3, 0, STARTED - HOUR, STARTED)
    assert not events.is_read(STARTED + QUIET - JUST_BEFORE)
    assert events.is_read(STARTED + QUIET)


def test_a_record_from_the_future_is_no_trouble() -> None:
    events = continuous("events")
    events.apply("events", 0, 0, STARTED + 24 * HOUR, STARTED)
    events.apply("events", 0, 1, STARTED + 24 * HOUR, STARTED + SECOND)
    assert events.is_read(STARTED)


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
