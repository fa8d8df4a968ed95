"""The one-machine runtime: what `make run` and the tests start, watch and stop.

    python -m nautilus.local [run] [--once]   everything, until Ctrl-C
    python -m nautilus.local status           what runs, and where
    python -m nautilus.local env              export lines for a shell
    python -m nautilus.local postgres|valkey  one server in the foreground, for the Procfile

Nothing here is imported by the platform itself: in production its servers come from elsewhere.
"""
