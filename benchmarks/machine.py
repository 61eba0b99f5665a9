"""The machine that a benchmark runs on: how it is used, and what it is."""

import multiprocessing
import os
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np


def use_cores(count):
    """Let the processes that are started from now on compute with so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["OPENBLAS_NUM_THREADS"] = str(count)
    # JAX reads no such variable. Linux can hold all processes to a number of cores.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(count))


def in_new_process(function, *arguments):
    """Call a function in a new process, where nothing has been imported; return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def machine(*packages):
    """The processor, and the versions of Python, numpy and the packages, in a line."""
    text = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        text = re.search(r"model name\s*: (.*)", info.read_text())[1]
    text += f", {os.cpu_count()} CPUs, Python {platform.python_version()}"
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    text += f", numpy {np.__version__} with {blas['name']} {blas['version']}"
    for name in packages:
        text += f", {name} {metadata.version(name)}"
    return text
