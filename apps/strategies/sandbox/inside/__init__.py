"""What runs in the sandbox's own process, and what both sides must agree on; free of Django and of the platform."""
