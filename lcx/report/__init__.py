"""Standings of the runs of a log (predicted final values, chances, verdicts), and an HTML page about them."""

from lcx.report.html import report_html
from lcx.report.leaderboard import Standing, standings

__all__ = [
    "Standing",
    "report_html",
    "standings",
]
