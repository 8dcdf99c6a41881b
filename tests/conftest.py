"""What holds for all tests."""

import os
import signal

from .browser import chromium, visit

__all__ = ["chromium", "visit"]

# As Tenfold does, before anything imports TensorFlow: its start-up notes say nothing, and tests of
# what is printed would find them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and the processes that
# they start with them; some of those are tested for how they take it.
signal.signal(signal.SIGINT, signal.default_int_handler)
