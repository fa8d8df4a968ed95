"""The pre-trade check: what an order would do to a portfolio's limits, decided before it is sent (docs/pre-trade.md).

facts.py reads what is true now in one statement, positions.py keeps a book and its P&L vector as long as they do not
change, rules.py holds an order against its instrument and portfolio, limits.py against every limit, check.py decides,
reserves and keeps the decision.
"""
