"""Keeps freed memory in the process, where the C library is asked to."""

import ctypes
import functools

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
LARGEST_KEPT_BYTES = 32 * 2**20
"""The most glibc takes. Larger blocks are given back at once: kept, they are where a heap comes apart (measured on
the paper's backbone at full width, batch 128: 4.4 GiB at the peak with all of them kept, 3.1 so)."""


@functools.cache
def keep_freed_memory() -> bool:
    """Tells glibc to reuse blocks of up to 32 MB instead of giving them back to the kernel.

    By default each tensor of some MB is mapped anew and its pages are zeroed one by one when first touched:
    measured on 32x32 images at width 0.25, that was 60 to 75 % of the time of an evaluation, by batch size.
    The setting holds for the whole process and changes no result. The process keeps the memory of its peak.

    Returns:
        Whether the C library took it; others than glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
