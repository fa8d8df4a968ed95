"""The peer of `submit_to_push`: Celery as its tutorial has it, with a Redis result backend and nothing around it."""

import math
import os

import numpy as np
from celery import Celery

url = os.environ.get("BARE_CELERY_URL", "redis://localhost:6379/1")
app = Celery("bare", broker=url, backend=url, set_as_current=False)
app.conf.update(task_serializer="json", accept_content=["json"], result_serializer="json", worker_prefetch_multiplier=1)

# As many scenarios and positions as PORTFOLIO_001 has, in memory before the first call.
_RETURNS = np.random.default_rng(1).normal(0, 0.01, (500, 20))
_VALUES = np.full(20, 180_000.0)


@app.task(name="bare.nothing")
def nothing() -> None:
    return None


@app.task(name="bare.var")
def var() -> float:
    pnl = _RETURNS @ _VALUES
    return float(-np.partition(pnl, math.ceil(0.01 * len(pnl)) - 1)[4])
