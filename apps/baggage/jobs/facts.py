"""Facts and news in SQL: the parts of their texts, and the stage of a bag (`baggage.domain.bags`)."""

from __future__ import annotations

from baggage.domain.bags import LEG_DIGITS, STAGE_DIGITS, TIME_CHARACTERS
from baggage.domain.schedule import SCHEDULE_RETENTION
from baggage.domain.stages import Stage
from baggage.jobs.readers import OFFSET_DIGITS
from baggage.jobs.times import time_json

_KEY = LEG_DIGITS + TIME_CHARACTERS

_FACTS = ("reached", "newest", "loaded", "removed", "alarmed", "cleared")
#: The facts; none of them, for a row that says something else; and what joins the facts of several rows.
FACTS = ", ".join(_FACTS)
NO_FACTS = ", ".join(f"CAST(NULL AS STRING) AS {fact}" for fact in _FACTS)
JOINED_FACTS = ", ".join(f"MAX({fact}) AS {fact}" for fact in _FACTS)

#: Whether a bag was taken off on its leg after it was loaded last: `BagFacts.stage`.
_IS_REMOVED = (
    f"SUBSTRING(removed, 1, {LEG_DIGITS}) = SUBSTRING(reached, 1, {LEG_DIGITS}) "
    f"AND (loaded IS NULL OR SUBSTRING(removed, 1, {_KEY}) > SUBSTRING(loaded, 1, {_KEY}))"
)
#: The name of the furthest stage, the name of the stage, and its number.
REACHED = f"SUBSTRING(reached, {LEG_DIGITS + STAGE_DIGITS + 1})"
STAGE = f"CASE WHEN {_IS_REMOVED} THEN '{Stage.MAKEUP.name}' ELSE {REACHED} END"
STAGE_NUMBER = (
    f"CASE WHEN {_IS_REMOVED} THEN {Stage.MAKEUP:d} "
    f"ELSE CAST(SUBSTRING(reached, {LEG_DIGITS + 1}, {STAGE_DIGITS}) AS INT) END"
)


def fact_json(fact: str) -> str:
    """SQL for a fact in JSON, null if there is none."""
    return f"COALESCE(SUBSTRING({fact}, {_KEY + 1}), 'null')"


def members(fact: str) -> str:
    """SQL for the members of a fact's JSON object, with its closing brace: the rest of an object that has begun."""
    return f"SUBSTRING({fact}, {_KEY + len('{') + 1})"


def keep(table: str) -> str:
    """The hint that keeps what SQL holds of a table as long as schedules are kept (`table.exec.state.ttl`: shorter)."""
    return f"/*+ STATE_TTL('{table}' = '{SCHEDULE_RETENTION.days} d') */"


def after_order(text: str) -> str:
    """SQL for what follows the sort key of the text of news."""
    return f"SUBSTRING({text}, {OFFSET_DIGITS + 1})"


def news_json(news: str) -> str:
    """SQL for news in JSON, null if there are none."""
    return f"COALESCE({after_order(news)}, 'null')"


def facts_json() -> str:
    """SQL for joined facts in JSON, as `BagFacts`; null for a bag without events."""
    return (
        "CASE WHEN reached IS NULL THEN 'null' ELSE "
        f'\'{{"reached":{{"leg_index":\' || CAST(CAST(SUBSTRING(reached, 1, {LEG_DIGITS}) AS INT) AS STRING)'
        f" || ',\"stage\":' || SUBSTRING(reached, {LEG_DIGITS + 1}, {STAGE_DIGITS}) || '}},\"newest\":'"
        f" || {fact_json('newest')} || ',\"loaded\":' || {fact_json('loaded')} || ',\"removed\":'"
        f" || {fact_json('removed')} || ',\"alarmed\":' || {time_json('alarmed')} || ',\"cleared\":'"
        f" || {time_json('cleared')} || '}}' END"
    )
