"""One BLAS thread: small products lose time to more of them, most of all on a busy machine."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
