"""What is held and what it is worth. Money and quantities are NUMERIC; prices and figures are float8."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

# Above every real price, quantity and amount, and below PostgreSQL's NaN and Infinity, which sort last:
# `value <= LARGEST` is therefore also the check that a number is a number.
LARGEST = Decimal(10) ** 15

readable_id = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", "expected 1 to 64 letters, digits, '_', '-' or '.', as in PORTFOLIO_001"
)
symbol_format = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_.\-=^]{0,31}\Z", "expected 1 to 32 letters, digits or _ . - = ^, as in BRK.B"
)
currency_code = RegexValidator(r"^[A-Z]{3}\Z", "expected a three-letter ISO 4217 code, as in USD")


class Instrument(models.Model):
    symbol = models.CharField(max_length=32, primary_key=True, validators=[symbol_format])
    name = models.CharField(max_length=200, blank=True)
    currency = models.CharField(max_length=3, default="USD", validators=[currency_code])
    active = models.BooleanField(default=True, help_text="An inactive instrument keeps its prices and takes no trades")
    # db_default: an import makes instruments in SQL that names only what it knows.
    sector = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="As in GICS, e.g. Energy; empty where unknown"
    )
    average_daily_volume = models.DecimalField(
        max_digits=24, decimal_places=8, null=True, blank=True, help_text="Units traded a day; empty where unknown"
    )
    price_tick = models.DecimalField(
        max_digits=24, decimal_places=8, null=True, blank=True, help_text="Prices of orders are multiples of it"
    )
    quantity_step = models.DecimalField(
        max_digits=24, decimal_places=8, null=True, blank=True, help_text="Quantities of orders are multiples of it"
    )
    min_quantity = models.DecimalField(
        max_digits=24, decimal_places=8, null=True, blank=True, help_text="Least quantity of an order"
    )
    max_quantity = models.DecimalField(
        max_digits=24, decimal_places=8, null=True, blank=True, help_text="Greatest quantity of an order"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["symbol"]
        constraints = [
            models.CheckConstraint(
                condition=Q(average_daily_volume__gt=0, average_daily_volume__lte=LARGEST),
                name="instrument_volume_is_positive",
                violation_error_message="The average daily volume is above zero and at most 1e15, or left empty.",
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__gt": 0, f"{name}__lte": LARGEST}),
                    name=f"instrument_{name}_is_positive",
                    violation_error_message=f"The {name.replace('_', ' ')} is above zero and at most 1e15, or empty.",
                )
                for name in ("price_tick", "quantity_step", "min_quantity", "max_quantity")
            ),
            models.CheckConstraint(
                condition=Q(min_quantity=None) | Q(max_quantity=None) | Q(min_quantity__lte=F("max_quantity")),
                name="instrument_quantities_in_order",
                violation_error_message="The least quantity of an order is not above the greatest.",
            ),
        ]

    def __str__(self) -> str:
        return self.symbol


class Portfolio(models.Model):
    class TradingState(models.TextChoices):
        ACTIVE = "active"
        REDUCING = "reducing", "reducing: only what shrinks a position"
        HALTED = "halted", "halted: no trade is approved"

    id = models.CharField(max_length=64, primary_key=True, validators=[readable_id])
    name = models.CharField(max_length=200)
    base_currency = models.CharField(max_length=3, default="USD", validators=[currency_code])
    initial_cash = models.DecimalField(max_digits=24, decimal_places=8)
    inception_date = models.DateField()
    benchmark = models.ForeignKey(
        Instrument, null=True, blank=True, on_delete=models.PROTECT, related_name="benchmark_of", db_column="benchmark"
    )
    trading_state = models.CharField(max_length=10, choices=TradingState.choices, default=TradingState.ACTIVE)
    # db_default: a portfolio opened in SQL is as one opened here.
    short_selling_allowed = models.BooleanField(
        default=True, db_default=True, help_text="Without it no order is approved that would sell more than is held"
    )
    leverage_allowed = models.BooleanField(
        default=True, db_default=True, help_text="Without it no order is approved that would cost more than the cash"
    )
    groups = models.ManyToManyField(
        Group, blank=True, related_name="portfolios", help_text="Their members may see this portfolio"
    )
    cash = models.DecimalField(max_digits=24, decimal_places=8, editable=False)
    ledger_version = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Grows by one with each booking; names one state of the book"
    )
    history_ledger_version = models.BigIntegerField(default=-1, editable=False)
    history_price_version = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(initial_cash__gte=0, initial_cash__lte=LARGEST), name="portfolio_initial_cash_is_sane"
            ),
            models.CheckConstraint(condition=Q(cash__gte=-LARGEST, cash__lte=LARGEST), name="portfolio_cash_is_sane"),
        ]

    def __str__(self) -> str:
        return self.id


class Trade(models.Model):
    """One booked trade. Append-only: a trigger refuses UPDATE and DELETE; a mistake is booked back."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="trades")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_column="symbol")
    external_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - NULLs are not compared
    quantity = models.DecimalField(max_digits=24, decimal_places=8, help_text="Negative sells")
    price = models.DecimalField(max_digits=24, decimal_places=8)
    traded_at = models.DateTimeField()
    ledger_version = models.PositiveBigIntegerField(help_text="The portfolio's version that this trade made")
    reservation = models.ForeignKey(
        "portfolios.Reservation",
        null=True,
        on_delete=models.PROTECT,
        related_name="trades",
        help_text="What it settled",
    )
    booked_at = models.DateTimeField(default=timezone.now)
    booked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["portfolio", "traded_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "external_id"], name="trade_external_id_is_unique"),
            models.CheckConstraint(condition=Q(price__gt=0, price__lte=LARGEST), name="trade_price_is_positive"),
            models.CheckConstraint(
                condition=~Q(quantity=0) & Q(quantity__gte=-LARGEST, quantity__lte=LARGEST),
                name="trade_quantity_is_not_zero",
            ),
        ]
        indexes = [models.Index(fields=["portfolio", "ledger_version"], name="idx_trade_ledger")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.quantity:+f} {self.instrument_id} at {self.price:f}"


class Reservation(models.Model):
    """Room that an approved order holds until its trade is booked, it is given back, or it expires.

    It is live while `status` is `held`, something is open, and the database's clock is before `expires_at`.
    """

    class Status(models.TextChoices):
        HELD = "held"
        BOOKED = "booked"
        RELEASED = "released"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="reservations")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_column="symbol")
    quantity = models.DecimalField(max_digits=24, decimal_places=8, help_text="Negative sells")
    open_quantity = models.DecimalField(max_digits=24, decimal_places=8, help_text="What is not booked yet")
    price = models.DecimalField(max_digits=24, decimal_places=8)
    order_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - NULLs are not compared
    status = models.CharField(max_length=8, choices=Status, default=Status.HELD)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "order_id"], name="reservation_order_id_is_unique"),
            models.CheckConstraint(condition=Q(price__gt=0, price__lte=LARGEST), name="reservation_price_is_positive"),
            models.CheckConstraint(
                condition=~Q(quantity=0) & Q(quantity__gte=-LARGEST, quantity__lte=LARGEST),
                name="reservation_quantity_is_not_zero",
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio"], condition=Q(status="held"), name="idx_reservation_held"),
            models.Index(fields=["portfolio", "created_at"], name="idx_reservation_created"),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.quantity:+f} {self.instrument_id}: {self.status}"


class CashFlow(models.Model):
    """Money paid in (positive) or out (negative) at that day's close. Append-only, as trades are."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="cash_flows")
    external_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - NULLs are not compared
    amount = models.DecimalField(max_digits=24, decimal_places=8)
    date = models.DateField()
    ledger_version = models.PositiveBigIntegerField()
    booked_at = models.DateTimeField(default=timezone.now)
    booked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["portfolio", "date", "id"]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "external_id"], name="cash_flow_external_id_is_unique"),
            models.CheckConstraint(
                condition=~Q(amount=0) & Q(amount__gte=-LARGEST, amount__lte=LARGEST), name="cash_flow_is_not_zero"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.amount:+f} on {self.date}"


class Position(models.Model):
    """What is held now: the sum of the trades, kept in the trade's own transaction. No row where nothing is held."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+", db_column="symbol")
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    average_cost = models.DecimalField(max_digits=24, decimal_places=8, help_text="Per unit, of what is still open")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["portfolio", "instrument"]
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "instrument"], name="position_is_one_row"),
            models.CheckConstraint(condition=~Q(quantity=0), name="position_is_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.quantity:f} {self.instrument_id}"


class PriceVersion(models.Model):
    """One state of all prices. An import that changes anything makes the next one; none is ever changed."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=200)
    rows_changed = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"version {self.id} from {self.source}"


class DailyPrice(models.Model):
    """A close. A correction is a new row of a later version: what was computed before can be computed again."""

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="prices", db_column="symbol")
    date = models.DateField()
    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT, related_name="+", db_column="version")
    close = models.FloatField()

    class Meta:
        ordering = ["instrument_id", "-date", "-version_id"]
        constraints = [
            models.UniqueConstraint(fields=["instrument", "date", "version"], name="daily_price_is_one_row"),
            models.CheckConstraint(condition=Q(close__gt=0, close__lte=float(LARGEST)), name="daily_price_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.date} {self.close}"


class PortfolioData(models.Model):
    """A portfolio's value at a day's close, made from its ledger and the prices (histories.py)."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="+")
    date = models.DateField()
    value = models.FloatField()
    cash = models.FloatField()
    net_flow = models.FloatField(help_text="Paid in or out that day")
    gross_exposure = models.FloatField()
    net_exposure = models.FloatField()
    positions_count = models.IntegerField()

    class Meta:
        db_table = "portfolio_data"
        verbose_name_plural = "portfolio data"
        ordering = ["portfolio", "-date"]
        constraints = [models.UniqueConstraint(fields=["portfolio", "date"], name="portfolio_data_is_one_row")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.date} {self.value}"


class PortfolioReturn(models.Model):
    """A portfolio's simple time-weighted return from the close before to this one."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="+")
    date = models.DateField()
    value = models.FloatField(db_column="return", help_text="Fraction: 0.01 is one per cent")

    class Meta:
        db_table = "portfolio_returns"
        ordering = ["portfolio", "-date"]
        constraints = [models.UniqueConstraint(fields=["portfolio", "date"], name="portfolio_return_is_one_row")]
        indexes = [models.Index(F("portfolio"), F("date").desc(), name="idx_portfolio_returns_date")]

    def __str__(self) -> str:
        return f"{self.portfolio_id} {self.date} {self.value}"


class Upload(models.Model):
    """A file waiting for the worker that reads it; kept in the database, so that any worker can."""

    name = models.CharField(max_length=200)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """The exact inputs of a figure. Its id is a hash over them, so that equal inputs have equal names."""

    id = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=64)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="+")
    inputs = models.JSONField(help_text="Canonical: positions or ledger version, price version, method, parameters")
    result = models.JSONField(help_text="What came out first, to compare a replay with")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id[:12]}"
