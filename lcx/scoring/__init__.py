"""Many curves at once: batches of any kind, and Parquet files of any size part by part."""

from lcx.scoring.scorer import BatchScorer
from lcx.scoring.shards import Summary, score

__all__ = [
    "BatchScorer",
    "Summary",
    "score",
]
