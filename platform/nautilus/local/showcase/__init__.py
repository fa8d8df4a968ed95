"""The samples of `make run`, shown as any client sees them: jobs on each portfolio, then strategies on paper ones.

Everything is asked for by the public REST API and followed by a socket; where that cannot be had, by asking.
"""

from nautilus.local.showcase.show import show_samples

__all__ = ["show_samples"]
