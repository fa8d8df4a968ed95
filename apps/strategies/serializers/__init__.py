"""What is asked and answered under `/api/v1/sprint3/strategy`, beside deployments themselves (representation.py).

Types are checked here; values by the operations, for the admin and files as well.
"""
