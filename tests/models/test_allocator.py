import platform
import resource

import pytest
import torch

from models.allocator import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")
def test_large_tensors_are_not_mapped_anew() -> None:
    assert keep_freed_memory()

    def page_faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.ones(16 << 20)  # 64 MiB: above every threshold that glibc would choose itself
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    # The kernel may take pages back at any time: the quietest of some tries counts.
    assert min(page_faults() for _ in range(6)) < 5 * (64 << 20) / resource.getpagesize() / 10
