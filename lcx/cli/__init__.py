"""The command ``lcx``: one small file per command, which ``app`` puts together."""
