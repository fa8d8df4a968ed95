"""The sandbox's process, run as `python -I -B child.py`: finds its own package beside it, and nothing else of ours."""

import importlib
import os
import signal
import sys

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent starts it with all signals held
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main = importlib.import_module("inside.life").main
    del sys.path[0]
    main()
