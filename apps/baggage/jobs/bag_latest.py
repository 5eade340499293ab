"""Job A, BagLatest: the latest state of every bag (specification section 6.1).

Topic of events -> the facts of each event -> the maximum of each fact by bag -> topic and table.
"""

from __future__ import annotations

from pyflink.table import StreamTableEnvironment

from baggage.clock import Clock
from baggage.domain.bags import BagLatest
from baggage.jobs import names
from baggage.jobs.dead_letters import dead_letters_to_clickhouse, write_dead_letters
from baggage.jobs.facts import JOINED_FACTS, REACHED, STAGE, fact_json, members
from baggage.jobs.readers import EventReader
from baggage.jobs.sinks import clickhouse_from_topic, to_compacted_topic
from baggage.jobs.sources import read_topic
from baggage.jobs.times import now_text, time_json
from baggage.provision.topics import BAG_LATEST
from baggage.settings import Settings

NAME = names.BAG_LATEST
#: Raise it with every change of the state that is kept: the job then starts anew from the topics.
STATE_VERSION = 2
TABLE = "bag_latest"


def build(tables: StreamTableEnvironment, settings: Settings) -> None:
    """Add the job to the environment of `tables`."""
    build_topic(tables, settings)
    clickhouse_from_topic(tables, BAG_LATEST, BagLatest, TABLE, settings, NAME)
    dead_letters_to_clickhouse(tables, settings, NAME)


def build_topic(tables: StreamTableEnvironment, settings: Settings) -> None:
    """The part of the job from Kafka to Kafka."""
    # Bags are many, and a batch has few events of one: to join these before they are sent on would cost more.
    tables.get_config().set("table.optimizer.agg-phase-strategy", "ONE_PHASE")
    clock = settings.clock.clock()
    read_topic(tables, EventReader(clock), "events", settings, NAME)
    statements = tables.create_statement_set()
    to_compacted_topic(tables, statements, BAG_LATEST, bags(clock), settings)
    write_dead_letters(tables, statements, ("events",), settings)
    statements.attach_as_datastream()


def bags(clock: Clock) -> str:
    """SQL for a `BagLatest` of each bag."""
    return f"""
        SELECT k,
            '{{"ts":"' || {now_text(clock)} || '","arrived":"' || arrived
            || '","stage":"' || {STAGE} || '","reached":"' || {REACHED}
            || '","loaded":' || {fact_json("loaded")} || ',"removed":' || {fact_json("removed")}
            || ',"alarmed":' || {time_json("alarmed")} || ',"cleared":' || {time_json("cleared")}
            || ',"source":' || CAST(source AS STRING) || ',' || {members("newest")} AS v
        FROM (
            SELECT k, {JOINED_FACTS}, MAX(arrived) AS arrived, MAX(`partition`) AS source
            FROM events WHERE dead_letter IS NULL GROUP BY k
        )"""
