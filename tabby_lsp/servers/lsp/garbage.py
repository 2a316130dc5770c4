"""When Python looks for garbage: hardly during the start, and never among what was imported.

To look through the 57,000 objects of pygls, lsprotocol and this program takes 40 ms or more, in the
start and whenever the collector thinks it time, between two keys.
"""

from __future__ import annotations

import gc

_AS_A_RULE = gc.get_threshold()
# Young garbage goes all the same, a class of each pair that makes one with slots; and nothing is
# ever old enough.
_AT_THE_START = (10_000, 10, 1_000_000)


def spare_the_start() -> None:
    """To be called before the imports."""
    gc.set_threshold(*_AT_THE_START)


def spare_what_stays() -> None:
    """From now on it is looked for as a rule, among what comes from now on."""
    gc.freeze()
    gc.set_threshold(*_AS_A_RULE)
