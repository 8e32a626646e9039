"""Standings of the runs of a log (predicted final values, chances, verdicts), and an HTML page about them."""

from lcx.report.html import report_html
from lcx.report.leaderboard import standings
from lcx.report.standing import Standing, counted

__all__ = [
    "Standing",
    "counted",
    "report_html",
    "standings",
]
