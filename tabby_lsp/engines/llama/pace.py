"""How long llama.cpp takes to read so many tokens at once, learned from what it has taken. Pure.

Where a processor waits for its memory, eight tokens take hardly longer than one; where it has few
cores, or a model is small, two may take twice as long.
"""

from __future__ import annotations

# More at once are prompts, of which each token takes as long as the next.
_MOST_TOKENS = 16
_SHARE = 0.2  # of the last time in what is expected
# A time that something else has made longer says nothing.
_MOST_TIMES = 2.0
# What was not measured for so many readings may have changed with the text's length; what was
# measured a few times may be wrong altogether.
_KNOWN_FOR, _HARDLY_KNOWN_FOR = 500, 50
_FEW_TIMES = 3
# What was never measured is taken to cost this share of one token alone, so that it is tried.
_GUESSED_SHARE = 0.3


class Pace:
    """Lives as long as a model."""

    def __init__(self) -> None:
        self._took_s: dict[int, float] = {}  # by number of tokens
        self._known_until: dict[int, int] = {}  # in readings
        self._n_times: dict[int, int] = {}
        self._of_prompts_s: float | None = None  # a token
        self._n_readings = 0

    def took(self, n_tokens: int, seconds: float) -> None:
        """What was measured."""
        self._n_readings += 1
        if n_tokens > _MOST_TOKENS:
            self._of_prompts_s = _moved(self._of_prompts_s, seconds / n_tokens)
            return
        self._took_s[n_tokens] = _moved(self._took_s.get(n_tokens), seconds)
        n_times = self._n_times[n_tokens] = self._n_times.get(n_tokens, 0) + 1
        known_for = _KNOWN_FOR if n_times > _FEW_TIMES else _HARDLY_KNOWN_FOR
        self._known_until[n_tokens] = self._n_readings + known_for
        oldest = min(self._known_until, key=self._known_until.__getitem__)
        if self._known_until[oldest] < self._n_readings:
            for each in (self._took_s, self._known_until, self._n_times):
                del each[oldest]

    def one_s(self) -> float:
        """For one token."""
        return self._expected_s(1)

    def more_s(self, n_tokens: int, n_more: int) -> float:
        """What so many more take, read together with others."""
        if n_tokens + n_more <= _MOST_TOKENS:
            return max(0.0, self._expected_s(n_tokens + n_more) - self._expected_s(n_tokens))
        each_s = self._of_prompts_s
        return n_more * (self.one_s() * _GUESSED_SHARE if each_s is None else each_s)

    def _expected_s(self, n_tokens: int) -> float:
        took_s = self._took_s
        if n_tokens in took_s:
            return took_s[n_tokens]
        if not took_s:
            return 1.0 + _GUESSED_SHARE * (n_tokens - 1)
        fewer = max((n for n in took_s if n < n_tokens), default=None)
        more = min((n for n in took_s if n > n_tokens), default=None)
        if fewer is None:
            return took_s[min(took_s)]
        if more is None:
            return took_s[fewer] + (n_tokens - fewer) * _GUESSED_SHARE * took_s[min(took_s)]
        share = (n_tokens - fewer) / (more - fewer)
        return took_s[fewer] + share * (took_s[more] - took_s[fewer])


def _moved(known_s: float | None, seconds: float) -> float:
    if known_s is None:
        return seconds
    return known_s + _SHARE * (min(seconds, _MOST_TIMES * known_s) - known_s)
