"""The kinds of tasks of this app, by the names of their Celery tasks (workers/strategies.py)."""

DEPLOY = "strategy.deploy"
RUN = "strategy.run"
