"""How many threads torch computes with, chosen before it is imported.  Standard library only; import this first.

Importing it sets the environment of this process, but for what the user has set:

- Threads of OpenMP that wait sleep.  As they come they spin, and where other programs take the cores, one call of the
  network that takes 0.03 s can take 2 s.
- One core is left free: a run scores and draws beside the host, and on two cores the embedded model is then faster.

The number depends on the machine only, never on its load: another number of threads rounds otherwise, so a run keeps
the one that it began with (`restore`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping
from pathlib import Path

log = logging.getLogger(__name__)

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
NUMBER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")
MOST = 256  # of threads that a journal may ask for
_CGROUP = Path("/sys/fs/cgroup")
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def cores() -> int:
    """The cores that this process may use, two threads of one core counted once; at least 1."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
    try:
        found = len({Path(_TOPOLOGY.format(number)).read_text() for number in allowed})
    except OSError:
        found = len(allowed)
    return max(1, min(found, int(quota())))


def quota(root: Path = _CGROUP) -> float:
    """How many cores' time the control group grants (version 2, then 1); without a limit, 1e6."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            granted, period = " ".join((root / name).read_text() for name in names).split()
            return int(granted) / int(period) if int(granted) > 0 else 1e6
        except (OSError, ValueError, ZeroDivisionError):  # none, "max", or not a number
            continue
    return 1e6


def settle(environment: MutableMapping[str, str]) -> bool:
    """Set what the user left open; True if the number of threads was among it."""
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
    if any(name in environment for name in NUMBER):
        return False
    environment["OMP_NUM_THREADS"] = str(max(1, cores() - 1))
    return True


def restore(number: object) -> None:
    """Compute with as many threads as a run that goes on, by its journal; what the user has set stays, with a warning.

    number: what the journal says; a run of an earlier version, which says nothing, used every core.
    """
    import torch

    wanted = cores() if number is None else number
    if not isinstance(wanted, int) or not 1 <= wanted <= MOST or wanted == torch.get_num_threads():
        return
    if CHOSEN:
        torch.set_num_threads(wanted)
    else:
        log.warning(
            "the run was begun with %d threads, but the environment asks for %d: results may differ in the last digits",
            wanted,
            torch.get_num_threads(),
        )


CHOSEN = settle(os.environ)
