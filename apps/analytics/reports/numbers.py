"""Numbers as people read them: a true minus sign, a dash where there is none."""

from decimal import Decimal

MINUS = "\u2212"
NONE = "\u2013"

# From here on digits are no longer read one by one.
TOO_LARGE = 10**12

Number = float | int | None


def percent(value: Number, places: int = 2) -> str:
    """A fraction as per cent."""
    # Decimal: the largest fractions are beyond a float when they are in per cent.
    return NONE if value is None else f"{_fixed(Decimal(float(value)) * 100, places)} %"


def plain(value: Number, places: int = 2) -> str:
    """With thousands separated; what is too large or too small to be read so, in powers of ten."""
    if value is None:
        return NONE
    is_tiny = 0 < abs(value) < 0.1**places / 100
    return _scientific(Decimal(float(value))) if is_tiny else _fixed(Decimal(float(value)), places)


def price(value: Number) -> str:
    """Two places; of what is below a tenth as many as four digits take, or a share of 0.004 would cost nothing."""
    if value is not None and 0.0001 <= abs(value) < 0.1:
        return quantity(float(f"{value:.4g}"))
    return plain(value)


def whole(value: Number) -> str:
    return plain(value, 0)


def quantity(value: Number) -> str:
    """Up to eight places, as many as it has."""
    if value is None:
        return NONE
    text = f"{abs(value):,.8f}".rstrip("0").rstrip(".")
    return (MINUS if value < 0 else "") + text


def _fixed(value: Decimal, places: int) -> str:
    if abs(value) >= TOO_LARGE:
        return _scientific(value)
    text = f"{abs(value):,.{places}f}"
    is_zero = not any(digit in "123456789" for digit in text)
    return text if value >= 0 or is_zero else MINUS + text


def _scientific(value: Decimal) -> str:
    return (MINUS if value < 0 else "") + f"{abs(value):.2e}"
