"""Which receiver reports are worth their bytes.

A report alone costs five times its size in headers. One that repeats what the far end knows can
wait for a packet to ride on; one that says that the link changed cannot; one that changes nothing
at all is said once in a while.
"""

from __future__ import annotations

from dataclasses import replace

from transport.control import parse_control
from transport.reports import ReceiverReport

NEWS_LOSS = 0.12  # a change of the loss that is more than chance
SAME_LOSS = 0.01  # less than that changes nothing, and so does a loss below it


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

    def is_dull(self, data: bytes) -> bool:
        """Whether the far end would do nothing with it: there is no loss to repair, as it was told
        before, or nobody says anything."""
        report, told = parse_control(data), self._told
        if told is None or not isinstance(report, ReceiverReport):
            return False
        lossless = max(report.fraction_lost, told.fraction_lost) < SAME_LOSS
        change = abs(report.fraction_lost - told.fraction_lost)
        return lossless or (change < SAME_LOSS and report.acked_index == told.acked_index)

    def told(self, data: bytes) -> None:
        report = parse_control(data)
        if isinstance(report, ReceiverReport):
            before = report if self._told is None else self._told
            lost = (before.fraction_lost + report.fraction_lost) / 2
            self._told = replace(report, fraction_lost=lost)
