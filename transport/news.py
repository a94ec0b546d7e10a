"""Which receiver reports are worth a packet of their own.

A report alone costs five times its size in headers. One that repeats what the far end knows can
wait for a packet to ride on; one that says that the link changed cannot.
"""

from __future__ import annotations

from dataclasses import replace

from transport.control import parse_control
from transport.reports import ReceiverReport

NEWS_LOSS = 0.12  # a change of the loss that is more than chance


class ReportNews:
    """Tells reports that say something new from those that repeat what the far end knows.

    What was told counts by half, because half of it may have been lost.
    """

    def __init__(self) -> None:
        self._told: ReceiverReport | None = None

    def is_news(self, data: bytes) -> bool:
        report, told = parse_control(data), self._told
        if told is None or not isinstance(report, ReceiverReport):
            return True
        return abs(report.fraction_lost - told.fraction_lost) > NEWS_LOSS

    def told(self, data: bytes) -> None:
        report = parse_control(data)
        if isinstance(report, ReceiverReport):
            before = report if self._told is None else self._told
            lost = (before.fraction_lost + report.fraction_lost) / 2
            self._told = replace(report, fraction_lost=lost)
