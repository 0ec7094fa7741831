"""What holds for every test: one thread each, the same examples on every run, and libraries that are not looked through for garbage."""

import atexit
import gc
import os

import pytest
from hypothesis import settings

# The tests share the cores, and threads that wait for one another cost many times what they give.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
settings.register_profile("fixed", derandomize=True, max_examples=40, deadline=None, database=None)
settings.load_profile("fixed")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Lets the collector of cycles leave out what the imports made, which stays: a tenth of the tests' time, and a second at the end."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.freeze)
