import time, json, resource
from typing import Any
import pytest
from apps.strategies.tests.api_factories import URL, make_versions
from apps.portfolios.tests.factories import client_of
from apps.strategies.contents import checked_parameters
from apps.strategies.models import MergeRequest
pytestmark = pytest.mark.django_db
def nested(value, count, depth=18, width=200):
    p = {str(i): value for i in range(count)}
    for _ in range(depth): p = {"k"*width: p}
    return p
def test_hunks():
    make_versions(); c = client_of("strategist")
    for d, w, n in ((18, 200, 9000), (0, 1, 9000)):
        r = c.post(f"{URL}/versions/STRATEGY_001", {"parent_version": c.get(f"{URL}/strategies/STRATEGY_001").json()["head_version"], "code": "x", "parameters": nested(0, n, d, w)}); assert r.status_code == 201, r.content[:300]
        base = r.json()["version"]
        for v in (1, 2):
            t = time.time(); r = c.post(f"{URL}/versions/STRATEGY_001", {"parent_version": base, "code": "x", "parameters": nested(v, n, d, w)}); print(d, n, r.status_code, r.content[:200], round(time.time()-t, 2), "rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        t = time.time(); r = c.get(f"{URL}/versions/STRATEGY_001/{base}/diff/{base+1}"); print("diff", r.status_code, len(r.content), round(time.time()-t,2))
    for m in MergeRequest.objects.all(): print(len(m.hunks), len(json.dumps(m.hunks)))
def test_params():
    for p in ({"k"*2_000_000: [1]*50_000}, {"a": {"k"*190: [1]*49_000}}):
        t = time.time()
        try: checked_parameters(p)
        except Exception as e: print(type(e).__name__, str(e)[:90])
        print("params", round(time.time()-t, 3))
