"""One thread for each process: the tests share the cores, and threads that wait for one another cost many times what they give."""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
