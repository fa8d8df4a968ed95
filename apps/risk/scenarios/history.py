"""Ten falls of the S&P 500 since 1990, each from its highest close to its lowest.

The start is the last high before the fall and higher than every close until the end; the end is lower than every close
since the start (sample_data/daily_prices.csv.gz, checked by a test). Where a fall had several legs, it is the whole.
Of the long bear market of 2007 to 2009 it is the leg that holds the event, from the last high before the bankruptcy.
"""

from apps.risk.scenarios.registry import register

register(
    "gulf_1990",
    "Gulf crisis",
    "1990-07-16",
    "1990-10-11",
    "Iraq invades Kuwait on 2 August; oil doubles, and the US slide into recession.",
)
register(
    "ltcm_1998",
    "Russia and LTCM",
    "1998-07-17",
    "1998-08-31",
    "Russia defaults on 17 August; Long-Term Capital Management fails as spreads widen everywhere.",
)
register(
    "dotcom_2000",
    "Dot-com bust",
    "2000-03-24",
    "2002-10-09",
    "Technology shares lose most of their value in thirty months; much of the rest of the market holds until 2002.",
)
register(
    "lehman_2008",
    "Lehman Brothers",
    "2008-08-11",
    "2009-03-09",
    "Lehman Brothers fails on 15 September; credit stops, and shares fall until March.",
)
register(
    "flash_crash_2010",
    "Flash crash",
    "2010-04-23",
    "2010-07-02",
    "Greece's debt unsettles markets; on 6 May prices fall and recover within half an hour, and sink on until July.",
)
register(
    "downgrade_2011",
    "US downgrade",
    "2011-04-29",
    "2011-10-03",
    "The euro's debt crisis spreads, and Standard & Poor's takes the United States' AAA away on 5 August.",
)
register(
    "august_2015",
    "China, August 2015",
    "2015-05-21",
    "2015-08-25",
    "China devalues the renminbi on 11 August; shares fall by a tenth in four days.",
)
register(
    "february_2018",
    "Volatility, February 2018",
    "2018-01-26",
    "2018-02-08",
    "Rising yields end the calm; the VIX doubles on 5 February, and funds that had sold volatility are wound up.",
)
register(
    "covid_2020",
    "Covid-19",
    "2020-02-19",
    "2020-03-23",
    "The pandemic closes economies; the fastest fall by a third on record, into the Federal Reserve's intervention.",
)
register(
    "rates_2022",
    "Rates, 2022",
    "2022-01-03",
    "2022-10-12",
    "Inflation and the fastest rise of interest rates in forty years; bonds fall with shares, energy rises.",
)
