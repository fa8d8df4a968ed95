"""Prometheus' rules: each fires under made-up series and not under those nearby, and leads to the runbook."""

import subprocess
from pathlib import Path

import pytest
import yaml

from apps.operations.sections import SECTIONS
from tests.monitoring.rule_cases import CASES, Series
from tests.monitoring.rules import PROMETHEUS, RULE_FILES, Rule, all_rules, rules_of

RULES = all_rules()

# Symptoms that the metrics do not show, and why. HealthFinding tells of those that a health check sees.
WITHOUT_A_RULE = {
    "version-history-corrupted": "to see it every version is read and hashed: `doctor` does so, a scrape does not",
    "database-unused-index": "no fault of now: statistics of weeks tell it, to a person who asks `doctor`",
}


def promtool(*arguments: str | Path) -> str:
    """Its output; fails with it where promtool does."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_are_valid():
    promtool("check", "rules", *RULE_FILES)
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml", PROMETHEUS / "make-run.yml")


def test_every_section_of_the_runbook_has_a_rule_or_a_reason_for_none():
    covered = {rule.labels["section"] for rule in RULES} - {"{{ $labels.section }}"}
    assert covered | set(WITHOUT_A_RULE) == set(SECTIONS)
    assert not covered & set(WITHOUT_A_RULE)


def test_every_rule_has_its_case_and_a_name_of_its_own():
    assert sorted(rule.alert for rule in RULES) == sorted(CASES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_rule_says_what_it_means_and_where_to_read_on(rule: Rule):
    assert set(rule.annotations) == {"summary", "description", "remedy", "runbook"}
    assert all(rule.annotations.values())
    assert rule.annotations["runbook"] == f"docs/runbook.md#{rule.labels['section']}"
    assert rule.annotations["remedy"].split()[0] in ("curl",) or rule.annotations["remedy"].startswith("scripts/")
    assert rule.labels["severity"] in ("info", "warning", "critical")
    assert "$value" in rule.annotations["description"] or "==" in rule.expr


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_rule_fires_under_its_series_and_not_under_those_nearby(file: Path, tmp_path: Path):
    tests = []
    for rule in rules_of(file):
        case = CASES[rule.alert]
        tests.append(unit_test(rule.alert, case.fires, case.after, fires=True))
        tests.append(unit_test(rule.alert, case.calm, case.after, fires=False))
    cases = tmp_path / "cases.yml"
    cases.write_text(yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": "15s", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", cases)


def unit_test(alert: str, series: Series, after: str, *, fires: bool) -> dict:
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    expected = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "name": f"{alert} {'fires' if fires else 'stays calm'}",
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": f"count({firing})", "eval_time": after, "exp_samples": expected}],
    }
