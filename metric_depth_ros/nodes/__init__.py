"""ROS 2 nodes; only this folder imports ROS."""

import os

# The solvers' matrices are small: with its own threads BLAS takes twice the CPU time for the same rate,
# and waits for other nodes. It reads this once, when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
