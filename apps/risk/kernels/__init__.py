"""Risk mathematics: arrays in, arrays out. No Django, no I/O, no clock, no hidden state; float64."""
