"""`/api/v1/sprint3/strategy`: contract section 8."""
