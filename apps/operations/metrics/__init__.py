"""GET /metrics: what all processes counted (folder.py), and what the stores say when they are asked (sources/)."""
