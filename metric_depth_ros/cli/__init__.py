"""The command line: one file per verb, listed in ``main.VERBS``."""

import os

# As in ``nodes``: threads of BLAS cost more than they give, and on busy cores twenty times as much.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
