"""Durations as people write them: `"30d"`, `"15m"`, `"1h30m"`, `"500ms"`."""

import re

_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_TENTHS_BELOW = 10
_PART = re.compile(r"([0-9]{1,9})(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d|w))+\Z")


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError for anything else than digits with units ms, s, m, h, d, w."""
    if not _WHOLE.match(text):
        raise ValueError('a duration is digits with a unit, such as "30s", "15m" or "30d"')
    return sum(int(n) * _UNIT[unit] for n, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """`seconds` in the two largest units that say something: `1d 4h`, `2m 5s`, `0.4s`."""
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f}s".replace(".0s", "s")
    left, words = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2])
