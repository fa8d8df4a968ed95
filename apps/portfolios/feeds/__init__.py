"""Where live prices come from, by name.

To add one: a file here that registers it, its import below, its test and its line in docs/market-data.md.
"""

from apps.portfolios.feeds import recorded, replay
from apps.portfolios.feeds.registry import FEEDS, QuoteFeed
from apps.portfolios.feeds.running import FeedRun, run_feed

__all__ = ["FEEDS", "FeedRun", "QuoteFeed", "recorded", "replay", "run_feed"]
