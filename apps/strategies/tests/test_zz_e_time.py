import time, gzip, pytest, os
from datetime import date
from apps.portfolios.price_import import import_prices
from apps.portfolios.matrix import load_current_matrix
from apps.portfolios.tests.factories import make_portfolio
from apps.strategies.tests.running_factories import *
EQUAL = """
def target_weights(prices, params):
    last = prices.iloc[-1].dropna()
    return {s: 0.9 / len(last) for s in last.index}
"""
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("schedule,start", [("monthly", date(2018,1,2)), ("weekly", date(2021,1,4)), ("daily", date(2022,10,3))])
def test_time(schedule, start):
    import_prices(gzip.open("/work/main/sample_data/daily_prices.csv.gz").read(), "sample")
    m = load_current_matrix()
    syms = [s for s in m.symbols if s != "SP500"][:20]
    p = make_portfolio(initial_cash=1_000_000, inception_date=date(2015,1,2))
    d = make_active(p, EQUAL, {}, syms, start_date=start, schedule=schedule)
    for i in range(20):
        t=time.time(); r = run(d); dt=time.time()-t
        print(schedule, r["days"], r["decisions"], r["orders"], d.status, round(dt,1), os.getloadavg()[0], flush=True)
        if d.last_day == m.dates[-1].item() or d.status != "active": break
    print(d.reason, d.last_error)
