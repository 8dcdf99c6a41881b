"""What holds for all tests."""

import os

# As the command line does, before anything imports TensorFlow: its start-up notes say nothing, and
# tests of what is printed would find them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
