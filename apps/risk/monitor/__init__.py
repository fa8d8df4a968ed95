"""The monitor: every interval, every open portfolio measured and every limit in force judged (docs/limits.md).

turns.py lets one run work at a time, moment.py reads what is true at one moment, measures.py measures the books that
changed, verdicts.py judges limits, transitions.py says what is to be told of it, record.py writes all of it in one
transaction or nothing, run.py is the story, watch.py looks whether it goes on.
"""
