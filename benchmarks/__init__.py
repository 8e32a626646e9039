"""Every measurement: a folder per question, and what they share."""
