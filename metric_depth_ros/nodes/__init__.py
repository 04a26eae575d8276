"""The only folder that imports ROS."""

import os

# The solvers' matrices are small: BLAS with threads of its own takes twice the processor's time for the same
# rate, and waits for other nodes. It reads this once, when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
