"""The sections of docs/runbook.md: a symptom each, by the anchor that findings and Prometheus rules link to.

A test holds this list, the document and the rules against each other.
"""

SECTIONS = {
    # WebSocket
    "sockets-refused-by-origin": "Connections are refused by their origin",
    "sockets-pool-exhausted": "No more sockets are taken",
    "sockets-subscribed-but-silent": "Subscribed, but nothing arrives",
    "sockets-slow-delivery": "Delivery is slow, memory grows",
    "sockets-stale-connections": "Connections are stale",
    # Risk
    "risk-figures-stuck": "Risk figures are stuck",
    "risk-cache-stale": "Cached answers are stale",
    "risk-missing-index": "An index is missing",
    "risk-breaches-not-detected": "Breaches are not detected",
    "alerts-not-delivered": "Notifications fail",
    # Analytics
    "analytics-over-time": "A computation runs over its time",
    "queue-grown-long": "A queue has grown long",
    "analytics-dashboard-static": "The live figures stand still",
    "market-data-stopped": "The price feed has stopped",
    # Strategies
    "deployment-stuck": "A deployment is stuck",
    "deployment-failing": "An active deployment fails",
    "rollback-failing": "A rollback fails",
    "version-conflict": "Versions are in conflict",
    "version-history-corrupted": "A version's history is corrupted",
    # Database
    "database-slow-query": "Queries are slow",
    "database-pool-exhausted": "The database takes no more connections",
    "database-connection-lost": "The database cannot be reached",
    "database-long-transaction": "A transaction is open for long",
    "database-bloat": "A table is bloated",
    "database-unused-index": "An index is not used",
    "disk-full": "The disk is full",
    # Redis
    "redis-time-outs": "Redis answers late or not at all",
    "redis-restarted": "Redis was restarted",
    "redis-wiped": "Redis was wiped",
    "redis-memory-full": "Redis' memory is full",
    "redis-primary-lost": "Redis' primary is lost",
    "redis-slow-log": "Commands in Redis are slow",
    # Workers
    "worker-killed": "A worker was killed",
    "worker-out-of-memory": "A worker ran out of memory",
    "worker-poison-task": "A task kills its workers",
    "worker-not-consuming": "A worker is connected and takes no task",
    "workers-all-gone": "No worker is left",
    "scheduler-gone": "The scheduler is gone",
    "scheduler-two": "Two schedulers run",
    # The machine
    "web-gone": "The API does not answer",
    "clock-skew": "Clocks differ",
    "file-descriptors": "File descriptors run out",
}
