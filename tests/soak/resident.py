"""How much memory this process holds, where /proc tells."""

from __future__ import annotations

import gc
import os
from pathlib import Path


def resident_mb() -> float:
    """After a collection, so that what is left is held."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
