"""Job A, BagLatest: the latest state of every bag (specification section 6.1).

Topic of events -> the facts of each event -> the maximum of each fact by bag -> topic and table.
"""

from __future__ import annotations

from pyflink.table import StreamTableEnvironment

from baggage.domain.bags import BagLatest
from baggage.jobs import names
from baggage.jobs.dead_letters import dead_letters_to_clickhouse, write_dead_letters
from baggage.jobs.facts import JOINED_FACTS, REACHED, STAGE, fact_json, members, time_json
from baggage.jobs.readers import EventReader
from baggage.jobs.sinks import clickhouse_from_topic, to_compacted_topic
from baggage.jobs.sources import read_topic
from baggage.provision.topics import BAG_LATEST
from baggage.settings import Settings

NAME = names.BAG_LATEST
#: Raise it with every change of the state that is kept: the job then starts anew from the topics.
STATE_VERSION = 1
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
    read_topic(tables, EventReader(settings.clock.clock()), "events", settings, NAME)
    statements = tables.create_statement_set()
    to_compacted_topic(tables, statements, BAG_LATEST, BAGS, settings)
    write_dead_letters(tables, statements, ("events",), settings)
    statements.attach_as_datastream()


#: A `BagLatest` for each bag.
BAGS = f"""
    SELECT bag_id AS k,
        '{{"ts":"' || read_at || '","arrived":"' || arrived
        || '","stage":"' || {STAGE} || '","reached":"' || {REACHED}
        || '","loaded":' || {fact_json("loaded")} || ',"removed":' || {fact_json("removed")}
        || ',"alarmed":' || {time_json("alarmed")} || ',"cleared":' || {time_json("cleared")}
        || ',"source":' || CAST(source AS STRING) || ',' || {members("newest")} AS v
    FROM (
        SELECT bag_id, {JOINED_FACTS}, MAX(arrived) AS arrived, MAX(read_at) AS read_at, MAX(`partition`) AS source
        FROM events WHERE dead_letter IS NULL GROUP BY bag_id
    )"""
