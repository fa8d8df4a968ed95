"""Django as WSGI for a process that serves nothing else: granian loads it in each of its processes."""

from nautilus.settled import settle
from nautilus.wsgi import application

__all__ = ["application"]

settle()
