"""Side-by-side measurements: ours and a peer in one run, medians over rounds, ratios. `make bench` runs them all."""
