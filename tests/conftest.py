"""How hypothesis draws its examples, in every test.

No example has a time limit, since the machine does other things too. They are the same in each
run, so that a failure belongs to the change that is tested; others are drawn by
`pytest --hypothesis-profile=explore`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", settings.get_profile("explore"), derandomize=True)
settings.load_profile("fixed")
