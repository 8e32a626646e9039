"""On curves drawn from the priors, where the truth is known: log score and calibration; and how like real curves they are."""
