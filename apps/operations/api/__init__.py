"""`/health`, `/system/health`, `/risk/health` and `/analytics/health`: contract section 10."""
