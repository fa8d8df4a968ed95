"""What the processes count of their own work, for GET /metrics: docs/monitoring.md.

Each process counts in memory-mapped files of its own below PROMETHEUS_MULTIPROC_DIR (processes.py, files.py), so that
whichever web process is asked can add up those of all. Without that folder a process counts for itself alone. What is
counted stands in counters.py, and is taken where it happens: http.py, apps/tasks/endings.py, apps/realtime/topics.py,
apps/risk/pretrade/check.py, apps/risk/deliveries.py.
"""
