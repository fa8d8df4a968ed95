"""Figures as the server writes them, and that a browser writes the same."""

import json
import random
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.dashboard.templatetags.figures import DASH, MINUS, change, money, price, quantity
from nautilus.local.home import ROOT

FORMAT = ROOT / "apps/dashboard/static/dashboard/js/format.js"
WRITERS = {"price": price, "quantity": quantity, "money": money, "change": change}
EDGES = (0.0, 1e-8, 5e-9, 1.5e-8, 1e-7, 0.005, 1.005, 1.015, 999.995, 1000.5, 1001.5, 1.1234565, 12.34575, 1e15, 1e21)
WRITE = """import * as format from "./format.js";
const written = (value) => NAMES.map((name) => format[name](value));
console.log(JSON.stringify(VALUES.map(written)));
"""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, DASH),
        (126.04, "126.04"),
        (24.532, "24.532"),
        (1234.5, "1,234.50"),
        (1.084555, "1.084555"),
        (-0.5, f"{MINUS}0.50"),
        (0.0000001, "0.0000001"),
        (Decimal("0.01234567"), "0.01234567"),
    ],
)
def test_prices_have_the_digits_that_matter(value: Any, written: str) -> None:
    assert price(value) == written


def test_quantities_have_all_eight_places_that_are_kept() -> None:
    assert quantity(Decimal("-1234.00000001")) == f"{MINUS}1,234.00000001"
    assert quantity(Decimal("100.00000000")) == "100"


def test_browser_writes_the_same(tmp_path: Path) -> None:
    """Also where a digit is a tie: 1.015 is a little less in binary, and 1,000.5 is exactly between two."""
    node = shutil.which("node")
    assert node, "Node is missing, and the dashboard's scripts are run by it here. On Debian: apt-get install nodejs"
    drawn = random.Random(8)
    values = [*EDGES, *(round(drawn.uniform(-20, 20), drawn.randint(0, 9)) for _ in range(2000))]
    shutil.copy(FORMAT, tmp_path)
    (tmp_path / "clock.js").write_text("export const now = () => 0;")  # the real one reads the page that it stands in
    constants = f"const NAMES = {json.dumps(list(WRITERS))}, VALUES = {json.dumps(values)};\n"
    (tmp_path / "write.mjs").write_text(constants + WRITE)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    ended = subprocess.run([node, "write.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    for value, written in zip(values, json.loads(ended.stdout), strict=True):
        assert written == [write(value) for write in WRITERS.values()], value
