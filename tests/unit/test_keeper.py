"""When the jobs are submitted: at the start, when one is gone, and with another password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from baggage.jobs.keeper import Keeper
from baggage.jobs.names import BAG_LATEST, ITINERARY_STATUS, JOB_NAMES
from baggage.jobs.rest import FlinkError, FlinkRest, RunningJob


@dataclass
class Flink(FlinkRest):
    """A session cluster with these jobs."""

    live: set[str] = field(default_factory=set)
    restarting: set[str] = field(default_factory=set)
    answers: bool = True

    def live_jobs(self) -> Iterator[RunningJob]:
        if not self.answers:
            raise FlinkError("no Flink")
        return iter([RunningJob("0", name, "") for name in self.live])

    def running_jobs(self) -> int:
        return len(self.live - self.restarting)


class World:
    """A keeper, and what it keeps."""

    def __init__(self) -> None:
        self.flink = Flink()
        self.password = "first"
        self.submissions: list[str] = []
        self.accepts = True
        self.accepted = True
        self.keeper = Keeper(self.flink, lambda: self.password, lambda: self.accepted, self.submit)

    def submit(self) -> bool:
        self.submissions.append(self.password)
        if self.accepts:
            self.flink.live = set(JOB_NAMES)
        return self.accepts


@pytest.fixture
def world() -> World:
    started = World()
    assert started.keeper.start()
    return started


def test_it_submits_once_where_all_is_well(world: World) -> None:
    assert [world.keeper.look() for _ in range(5)] == [True] * 5
    assert world.submissions == ["first"]


def test_a_start_that_fails_is_told(world: World) -> None:
    world = World()
    world.accepts = False
    assert not world.keeper.start()


@pytest.mark.parametrize("gone", [{name} for name in JOB_NAMES] + [set(JOB_NAMES)])
def test_a_job_that_is_gone_twice_in_a_row_is_submitted(world: World, gone: set[str]) -> None:
    world.flink.live -= gone
    assert not world.keeper.look()
    assert len(world.submissions) == 1
    assert world.keeper.look()
    assert len(world.submissions) == 2


def test_a_job_that_is_back_is_left_alone(world: World) -> None:
    world.flink.live.remove(ITINERARY_STATUS)
    assert not world.keeper.look()
    world.flink.live.add(ITINERARY_STATUS)
    assert world.keeper.look()
    world.flink.live.remove(BAG_LATEST)
    assert not world.keeper.look()
    assert len(world.submissions) == 1


def test_a_job_that_restarts_is_left_to_flink(world: World) -> None:
    world.flink.restarting = {BAG_LATEST}
    assert [world.keeper.look() for _ in range(5)] == [False] * 5
    assert len(world.submissions) == 1


def test_a_flink_that_does_not_answer_is_waited_for(world: World) -> None:
    world.flink.answers = False
    assert [world.keeper.look() for _ in range(5)] == [False] * 5
    world.flink.answers = True
    assert world.keeper.look()
    assert len(world.submissions) == 1


def test_another_password_submits_at_once(world: World) -> None:
    world.password = "second"
    assert world.keeper.look()
    assert world.submissions == ["first", "second"]
    assert world.keeper.look()
    assert len(world.submissions) == 2


def test_another_password_waits_until_clickhouse_takes_it(world: World) -> None:
    world.password, world.accepted = "second", False
    assert [world.keeper.look() for _ in range(3)] == [True] * 3
    assert world.submissions == ["first"]
    world.accepted = True
    assert world.keeper.look()
    assert world.submissions == ["first", "second"]


def test_a_submission_that_fails_is_tried_again(world: World) -> None:
    world.flink.live.clear()
    world.accepts = False
    world.keeper.look()
    assert [world.keeper.look() for _ in range(3)] == [False] * 3
    assert len(world.submissions) == 4
    world.accepts = True
    assert world.keeper.look()
    assert world.keeper.look()
    assert len(world.submissions) == 5
