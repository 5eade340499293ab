"""Processing-time timers in terms of the pipeline's clock."""

from __future__ import annotations

import math
from datetime import datetime


def millis(real: datetime) -> int:
    """The timestamp of a timer that fires at or just after the real time `real`."""
    return math.ceil(real.timestamp() * 1000)
