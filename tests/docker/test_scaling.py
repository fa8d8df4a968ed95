"""docs/scaling.md: its manifest, and that it says what the results say."""

import json
import re

import yaml

from nautilus.local.home import ROOT

TEXT = (ROOT / "docs" / "scaling.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"


def test_the_manifest_asks_for_measures_that_exist() -> None:
    (manifest,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    triggers = yaml.safe_load(manifest)["spec"]["triggers"]
    sources = "".join(file.read_text() for file in (ROOT / "apps" / "operations" / "metrics" / "sources").glob("*.py"))
    for trigger in triggers:
        (name,) = re.findall(r"nautilus_(\w+)\{", trigger["metadata"]["query"])
        assert f'gauge("{name}"' in sources, name


def test_the_table_of_servers_is_that_of_the_benchmark() -> None:
    series = json.loads((RESULTS / "http_servers.json").read_text())["series"]
    lines = re.findall(r"^\| [^|]+ \| (\d+) \| (\d+) to (\d+) \| ([\d.]+) ms \|$", TEXT, re.MULTILINE)
    expected = [
        (
            f"{figures['requests_per_second']:.0f}",
            f"{min(figures['rounds']):.0f}",
            f"{max(figures['rounds']):.0f}",
            f"{figures['server_cpu_ms_per_request']:.2f}",
        )
        for figures in series.values()
    ]
    assert lines == expected


def test_every_result_that_is_named_exists() -> None:
    for name in set(re.findall(r"`(\w+\.json)`", TEXT)):
        assert (RESULTS / name).exists(), name
