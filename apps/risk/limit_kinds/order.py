"""What one order may be: its size, its price's distance from the last one, and how many come in a minute."""

from apps.risk.figures import Order
from apps.risk.limit_kinds.registry import OrderKind, register_limit_kind


def _rate(order: Order, symbol: str | None) -> float:
    return float(order.earlier_orders(symbol))


register_limit_kind(OrderKind("order_notional", "currency", True, lambda order, _: order.notional))
register_limit_kind(OrderKind("order_quantity", "quantity", True, lambda order, _: abs(order.quantity)))
register_limit_kind(
    OrderKind("order_rate", "count", True, lambda order, symbol: _rate(order, symbol) + 1, before=_rate)
)
register_limit_kind(
    OrderKind("price_collar", "fraction", True, lambda order, _: abs(order.price / order.last_price - 1))
)
