"""How long the property tests search: a few seconds, and never failing because a machine is slow.

More of it: `pytest tests/properties --hypothesis-profile=long`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("default"), max_examples=2000)
settings.load_profile("default")
