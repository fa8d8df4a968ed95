"""Average cost of a position, in Decimal: money that a ledger keeps is decimal from end to end."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

# The ledger's NUMERIC(24, 8). Rounded here and not by the database, so that a position kept trade by trade and one
# built again from all its trades agree to the last digit.
_UNIT = Decimal("0.00000001")

# 24 digits x 24 digits fit without rounding. Our own context: the thread's may have been changed by anybody.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_ZERO = Decimal(0)


def apply_trade(
    quantity: Decimal, average_cost: Decimal, trade_quantity: Decimal, trade_price: Decimal
) -> tuple[Decimal, Decimal]:
    """A position after one trade: (quantity, average cost per unit, in the instrument's currency, 8 places).

    Quantities are negative when short or sold; `average_cost` of an empty position is not looked at.
    Open or flip through zero: the trade's price. Add: (|q| cost + |dq| price) / |q + dq|. Reduce: the cost stays.
    Close: (0, 0). Source: IAS 2.27 (weighted average cost), applied to shorts by symmetry.
    Raises ValueError for a trade of no quantity, a price that is not positive, and NaN or infinity.
    """
    _check(quantity, average_cost, trade_quantity, trade_price)
    after = _EXACT.add(quantity, trade_quantity)
    if after == 0:
        return _ZERO, _ZERO
    if quantity == 0 or (quantity > 0) != (after > 0):
        return after, _EXACT.quantize(trade_price, _UNIT)
    if (quantity > 0) != (trade_quantity > 0):
        return after, average_cost
    return after, _blend(quantity, average_cost, trade_quantity, trade_price)


def _blend(quantity: Decimal, average_cost: Decimal, trade_quantity: Decimal, trade_price: Decimal) -> Decimal:
    paid = _EXACT.fma(trade_quantity, trade_price, _EXACT.multiply(quantity, average_cost))
    return _EXACT.quantize(_EXACT.divide(paid, _EXACT.add(quantity, trade_quantity)), _UNIT)


def _check(quantity: Decimal, average_cost: Decimal, trade_quantity: Decimal, trade_price: Decimal) -> None:
    if not all(number.is_finite() for number in (quantity, average_cost, trade_quantity, trade_price)):
        raise ValueError(
            f"quantity {quantity}, cost {average_cost}, trade {trade_quantity} at {trade_price}; "
            "expected finite numbers"
        )
    if trade_quantity == 0:
        raise ValueError(f"trade_quantity is {trade_quantity}; expected a number other than 0, negative to sell")
    if trade_price <= 0:
        raise ValueError(f"trade_price is {trade_price}; expected more than 0")
