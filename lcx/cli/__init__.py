"""The command ``lcx``: one small file per command, put together in ``app``."""
