"""Performance mathematics: one returns series in, figures out. No Django, no I/O, no clock; float64."""
