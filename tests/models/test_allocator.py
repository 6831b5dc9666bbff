import platform
import resource
import subprocess
import sys

import pytest
import torch

from models.allocator import LARGEST_KEPT_BYTES, keep_freed_memory

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")


@needs_glibc
def test_freed_blocks_are_not_mapped_anew() -> None:
    assert keep_freed_memory()
    n_floats = LARGEST_KEPT_BYTES * 3 // 4 // 4

    def page_faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(2):
            blocks = [torch.ones(n_floats) for _ in range(6)]  # together more than glibc itself would keep
            del blocks
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    touched = 2 * 6 * n_floats * 4 / resource.getpagesize()
    # The kernel may take pages back at any time: the quietest of some tries counts.
    assert min(page_faults() for _ in range(6)) < touched / 10


LARGE_BLOCK = """
import resource
from pathlib import Path
import torch
from models.allocator import LARGEST_KEPT_BYTES, keep_freed_memory

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

assert keep_freed_memory()
block = torch.ones(LARGEST_KEPT_BYTES)  # four bytes each
full = resident_bytes()
del block
assert full - resident_bytes() > 2 * LARGEST_KEPT_BYTES, (full, resident_bytes())
"""


@needs_glibc
def test_larger_blocks_are_given_back_at_once() -> None:
    # In a process of its own: where enough memory is free, glibc takes a large block from there too.
    done = subprocess.run([sys.executable, "-c", LARGE_BLOCK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
