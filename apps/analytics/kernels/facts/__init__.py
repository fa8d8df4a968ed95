"""What the measures need to know of each series: sums over its days, taken once, a block of portfolios at a time."""
