"""Run a function in its own process and measure its memory."""

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_child(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> tuple[R, float]:
    """Return a function's result and the peak memory (MB) of the process that it ran in.

    If the function started a larger process, return the memory of that one. Of files mapped into
    memory, only the parts that were read count.
    """
    # Not "spawn": the new process would start with the peak of this one.
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        result = pool.submit(function, *arguments, **keywords)
        peak = pool.submit(_peak)
        return result.result(), peak.result()


def _peak() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024  # KB, on Linux
