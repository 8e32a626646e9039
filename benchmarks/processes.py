"""Memory and time of processes from Linux's /proc, where ``resource`` would count from the parent's peak."""

import os
from pathlib import Path


def memory(what: str, pid: int | str = "self") -> float:
    """A line of a process's status, MiB: VmHWM is its peak of resident memory, VmRSS what is resident now; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), 0.0)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents = {int(entry.name): int(fields[1]) for entry in Path("/proc").glob("[0-9]*") if (fields := _fields(entry))}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process of ours, None when it has ended."""
    fields = _fields(Path(f"/proc/{pid}"))
    return None if fields is None or fields[0] == "Z" else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_session(session: int) -> list[int]:
    """Processes of a session that still run."""
    running = {int(entry.name): fields for entry in Path("/proc").glob("[0-9]*") if (fields := _fields(entry)) and fields[0] != "Z"}
    return [pid for pid, fields in running.items() if int(fields[3]) == session]


def _fields(entry: Path) -> list[str] | None:
    """What /proc/PID/stat says from the state on, None if the process is gone."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return None
