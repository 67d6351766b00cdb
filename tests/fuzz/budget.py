"""How much is tried: CAUSEWAY_FUZZ_EXAMPLES multiplies it.

A normal run tries the same each time: it tells of what was changed, not of luck. A longer one is to find something new.
"""

import os

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("CAUSEWAY_FUZZ_EXAMPLES", "1"))
IS_NORMAL = FACTOR <= 1


def examples(count: int) -> settings:
    """Settings for so many examples in a normal run."""
    return settings(
        max_examples=max(1, int(count * FACTOR)),
        deadline=None,
        derandomize=IS_NORMAL,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
