"""A function's result together with the memory that it took."""

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_child(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> tuple[R, float]:
    """What a function returns, and the peak memory (MB) of the process of its own that it had.

    Or that of the largest process which it started. Files mapped into memory count as far as they
    were read.
    """
    # Not "spawn": a process started by another counts that one's peak as its own.
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        result = pool.submit(function, *arguments, **keywords)
        peak = pool.submit(_peak)
        return result.result(), peak.result()


def _peak() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024  # KB, on Linux
