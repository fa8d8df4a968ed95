#!/usr/bin/env python
"""Django's command line, with the project's two source roots on the path."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
