"""Why a peer is ahead of lcx beyond chance on a source, found by looking at the curves and at both forecasts.

benchmarks/LOG.md has the figures.
"""

from benchmarks.peers.catalogue import ALONE, TOLD

NONE = "not looked at."
REASONS: dict[str, dict[str, str]] = {  # by setting and source
    ALONE: {},
    TOLD: {
        "modded_nanogpt_val_loss": "the others are repeats of one program with other seeds. At later steps they lie .001 to .003"
        " from the target (medians of 12 targets, one aside), whose loss still falls by .36 to .83. The latent Kronecker GP gives"
        " all runs one course in common and follows them, its 90 % intervals .01 to .08 wide. lcx does not take from the others that"
        " they are repeats: its intervals are .09 to .31 wide, and it expects ends of 3.15 to 3.24 where all others end at 3.27 to"
        " 3.28 (four targets at 10 %)."
        " On the one of eight whose only other run is none of its repeats, lcx is ahead.",
    },
}
