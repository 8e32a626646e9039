"""Why a peer is ahead of lcx beyond chance on a source, found by looking at the curves and at both forecasts.

benchmarks/LOG.md has the figures.
"""

from benchmarks.peers.catalogue import ALONE, TOLD

NONE = "not looked at."
REASONS: dict[str, dict[str, str]] = {ALONE: {}, TOLD: {}}  # by setting and source
