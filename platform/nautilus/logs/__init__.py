"""The log: one JSON object a line, each with the ids that lead from a request to everything that it caused.

Written through `logging` as ever: `logging.getLogger(__name__)` (docs/logs.md).
"""
