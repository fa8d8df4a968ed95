"""Live figures of all books (docs/streaming.md).

leases.py shares the portfolios among engines, reading.py knows the books, placing.py and groups.py make arrays of them,
known_quotes.py knows the prices, step.py computes what was touched, messages.py says it, statistics.py counts,
status.py tells how all engines do. The loop over these is apps/analytics/real_time_engine.py.
"""
