"""The monitor: every interval, every open portfolio measured and every limit in force judged (docs/limits.md).

turns.py lets one run work at a time, moment.py reads what is true at one moment, books.py what is held, measures.py
measures the books that changed, memory.py keeps what did not, verdicts.py judges limits, seeing.py puts these together;
transitions.py says what is to be told, record.py writes all of it in one transaction or nothing, run.py is the story,
watch.py looks whether it goes on.
"""
