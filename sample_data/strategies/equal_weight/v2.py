"""Equal weight: the same share of the equity in everything that has a price.

The rule that is hard to beat, as it estimates nothing and so errs in nothing. Source: DeMiguel, Garlappi and Uppal
(2009), Optimal Versus Naive Diversification: How Inefficient is the 1/N Portfolio Strategy?, Review of Financial
Studies 22(5).
"""


def target_weights(prices, params):
    """Weights by symbol, fractions of the equity.

    prices: DataFrame, days x symbols, closes up to the day of the decision, NaN where there is none.
    params: `invested`, the fraction of the equity that is not kept as cash. Orders are sized at today's closes and
    filled at the next ones, with costs: without some cash a day on which prices rise would end in an overdraft.
    """
    latest = prices.iloc[-1].dropna()
    return dict.fromkeys(latest.index, params["invested"] / len(latest))
