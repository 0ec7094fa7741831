"""What holds for every test: one thread each, and the same examples on every run."""

import os

from hypothesis import settings

# The tests share the cores, and threads that wait for one another cost many times what they give.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
settings.register_profile("fixed", derandomize=True, max_examples=40, deadline=None, database=None)
settings.load_profile("fixed")
