"""Booked trades and cash flows cannot be changed, whoever asks: a mistake is booked back."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).with_name("0002_append_only.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("portfolios", "0001_initial")]
    operations = [
        migrations.RunSQL(
            SQL,
            "DROP TRIGGER trade_is_append_only ON portfolios_trade;"
            "DROP TRIGGER cash_flow_is_append_only ON portfolios_cashflow;"
            "DROP TRIGGER daily_price_is_append_only ON portfolios_dailyprice;"
            "DROP FUNCTION nautilus_refuse_change;",
        )
    ]
