"""Freed memory stays with the process (chapter 11)."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from minitfm.fast.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work = lambda: torch.ones(2**24).sum().item()  # 64 MiB
for _ in range(3):
    work()
found = []
for _ in range(10):
    before = faults()
    work()
    found.append(faults() - before)
print(min(found))  # the least: the system may take some back by itself now and then
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_next_tensor_takes_the_freed_ones_memory():
    def faults(how: str) -> int:
        run = [sys.executable, "-c", CODE, how]
        return int(
            subprocess.run(
                run, capture_output=True, text=True, check=True, timeout=120
            ).stdout
        )

    assert faults("keep") < 0.1 * faults("give back")
