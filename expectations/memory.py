"""How this process holds memory. A process that works on 10,000 rows every few seconds would otherwise keep the peaks
of all its libraries for ever, each in a pool of its own."""

import contextlib
import ctypes

import pyarrow as pa

# From glibc's malloc.h; where malloc is another's, it keeps its habits.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_RETURNED_FROM_BYTES = 64 * 1024


def return_early() -> None:
    """Arrow takes its memory from malloc, and large blocks go back to the system as soon as they are freed."""
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _RETURNED_FROM_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _RETURNED_FROM_BYTES)


def return_unused() -> None:
    """Gives back what lies free between blocks that are in use; takes about a millisecond."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
