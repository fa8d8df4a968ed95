"""Momentum: the stocks that rose most over a year, its last month left out, in equal parts.

Winners of the past 3 to 12 months go on winning for some months; over the last weeks it is the other way round, which
is why these are skipped. Source: Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers:
Implications for Stock Market Efficiency, Journal of Finance 48(1). Theirs also sells the losers short; this is the long
side alone. What did not rise at all is not bought: its part stays cash.
"""


def target_weights(prices, params):
    """Weights by symbol, fractions of the equity.

    prices: DataFrame, days x symbols, closes up to the day of the decision, NaN where there is none.
    params: `lookback_days` and `skip_days`, trading days before today that the rise begins and ends; `holdings`, how
    many stocks to hold; `invested`, the fraction of the equity that is not kept as cash.
    """
    past = rise(prices, params["lookback_days"], params["skip_days"])
    chosen = past[past > 0.0].nlargest(params["holdings"])
    return dict.fromkeys(chosen.index, params["invested"] / params["holdings"])


def rise(prices, lookback_days, skip_days):
    """Return from `lookback_days` to `skip_days` ago, of the symbols that have both closes and can be bought today."""
    if len(prices) <= lookback_days:
        return prices.iloc[-1].iloc[:0]
    begun, ended, today = prices.iloc[-1 - lookback_days], prices.iloc[-1 - skip_days], prices.iloc[-1]
    return (ended / begun - 1.0)[today.notna()].dropna()
