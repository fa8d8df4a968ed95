"""`/api/v1/sprint3/risk` and `/analytics/risk`: contract sections 5 and 6."""
