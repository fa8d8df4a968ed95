"""Tables that grow with time: hypertables where TimescaleDB is there, plain tables elsewhere, with the same retention.

docs/time-series.md tells operators, docs/decisions/0016 which tables are which, and why.
"""
