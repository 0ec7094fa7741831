"""Random streams of a study, and independent tasks on several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

Task = TypeVar("Task")
Result = TypeVar("Result")


def stream(seed: int, *key: int) -> np.random.Generator:
    """Returns the random stream of a study seed and a key; streams of different keys are independent."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def parallel(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    threads: int,
    watch: Callable[[int], Callable[[int], None]] = lambda total: lambda done: None,
) -> list[Result]:
    """Returns the results of independent tasks in task order, whatever the number of threads.

    ``watch`` is called with the number of tasks; it gives a function that is called with 1 when a task is done.
    """
    tasks = list(tasks)
    advance = watch(len(tasks))

    def one(task: Task) -> Result:
        result = function(task)
        advance(1)
        return result

    if threads == 1:
        return [one(task) for task in tasks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, tasks))
