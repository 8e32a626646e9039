"""Forked processes: the threads of their parent do not exist in them, and OpenMP would wait for them for ever."""

import os

import torch

_PROCESS = [os.getpid()]  # in which predictions were last made


def mind_forks() -> None:
    """Called before anything heavy; lets a forked process compute on one thread. Other processes are left as they are."""
    if _PROCESS[0] != os.getpid():
        torch.set_num_threads(1)
        _PROCESS[0] = os.getpid()
