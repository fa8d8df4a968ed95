"""What an active deployment does on each trading day, in this order.

1. filling.py: what is open and was decided before is filled at the day's close, or as the broker says.
2. gates.py: a deployment that has broken one is rolled back by itself.
3. deciding.py: where its schedule says so, the strategy is asked in its sandbox, while a canary together
   with the version before (canary.py); its weights become orders, each through the pre-trade check (checking.py).
4. `last_day` moves on.

job.py goes through the days, due.py says who has any; settling.py looks after what a real broker still has of a
deployment that has ended. Each of these is one transaction that holds the deployment's row
and sees first that it is still active and nobody else has moved on (stages.py): killed anywhere and tried again,
nothing is booked twice and nothing is left out.
"""
