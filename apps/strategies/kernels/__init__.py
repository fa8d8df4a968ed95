"""Mathematics of strategies: weights in, orders, values and figures out. No Django, no I/O, no clock; float64."""
