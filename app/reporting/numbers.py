"""Figures as people write them."""

from __future__ import annotations

_BYTES = ("B", "kB", "MB", "GB", "TB")


def seconds_text(seconds: float | None) -> str:
    """``850 µs``, ``12.3 ms``, ``4.25 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return "–"
    if seconds == 0:
        return "0 s"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{_digits(seconds * 1000)} ms"
    if seconds < 100:
        return f"{_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def bytes_text(count: float | None) -> str:
    """In powers of 1,000: ``12.3 MB``."""
    if count is None:
        return "–"
    unit = 0
    while count >= 1000 and unit < len(_BYTES) - 1:
        count, unit = count / 1000, unit + 1
    return f"{_digits(count)} {_BYTES[unit]}"


def count_text(value: float | None) -> str:
    """``12,345``, ``0.25``."""
    if value is None:
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return _digits(value)


def figure_text(path: str, value: float | None) -> str:
    """By what the figure is about."""
    if path.startswith("latency_seconds.") or path.endswith(("_seconds", ".slip")):
        return seconds_text(value)
    if "bytes" in path:
        return bytes_text(value) + ("/s" if path.endswith("per_second") else "")
    return count_text(value)


def _digits(value: float) -> str:
    """Three of them, at least those before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
