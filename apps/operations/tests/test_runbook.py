"""docs/runbook.md against the sections that findings and alerts link to, and its commands against what there is."""

import re
import shlex

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from apps.operations.checks.registry import COMPONENTS
from apps.operations.diagnosis.looking import load_probes
from apps.operations.sections import SECTIONS
from tests.faults.runbook import KINDS, RUNBOOK, Command, Section, commands_of_the_runbook, sections_of_the_runbook

PARTS = ("**You see.**", "**By itself.**", "**Look.**", "**Causes and cures.**", "**Mended when**", "**Not lost.**")
LAST = "**So that it does not come back.**"
COMMANDS = commands_of_the_runbook()
PROCESSES = {line.split(":")[0] for line in (settings.ROOT / "Procfile").read_text().splitlines() if ":" in line}


def test_runbook_has_the_sections_that_findings_link_to_with_their_titles_and_in_their_order():
    assert [(section.key, section.title) for section in sections_of_the_runbook()] == list(SECTIONS.items())


@pytest.mark.parametrize("section", sections_of_the_runbook(), ids=lambda section: section.key)
def test_section_tells_all_that_an_operator_asks(section: Section):
    places = [section.text.find(part) for part in (*PARTS, LAST)]
    assert -1 not in places
    assert places == sorted(places)


def test_index_leads_to_every_section():
    index = RUNBOOK.read_text().partition("## Index by symptom")[2].partition("\n## ")[0]
    assert re.findall(r"\(#([a-z-]+)\)", index) == list(SECTIONS)


def test_every_link_inside_the_runbook_leads_somewhere():
    assert set(re.findall(r"\]\(#([a-z-]+)\)", RUNBOOK.read_text())) <= set(SECTIONS)


def test_every_document_that_the_runbook_names_is_there():
    named = set(re.findall(r"\bdocs/[a-z-]+\.md\b", RUNBOOK.read_text()))
    assert {name for name in named if not (settings.ROOT / name).exists()} == set()


def test_every_setting_that_the_runbook_names_is_one():
    known = (settings.ROOT / "platform" / "nautilus" / "variables.py").read_text()
    of_scripts = {"NAUTILUS_MODE", "NAUTILUS_TOKEN"}
    named = set(re.findall(r"\bNAUTILUS_[A-Z_]+\b", RUNBOOK.read_text())) - of_scripts
    assert {name for name in named if f'"{name}"' not in known} == set()


def test_commands_are_of_the_kinds_that_the_runbook_explains():
    assert {command.kind for command in COMMANDS} == set(KINDS)


def test_every_section_has_a_command_that_runs_here():
    runs_here = {section.key for section in sections_of_the_runbook() if "```sh\n" in section.text}
    assert runs_here == set(SECTIONS)


@pytest.mark.parametrize("command", [one for one in COMMANDS if "scripts/" in one.text], ids=lambda one: one.text[:80])
def test_script_is_there_and_the_service_it_is_given_is_one(command: Command):
    script, *arguments = shlex.split(command.text)
    assert (settings.ROOT / script).exists()
    if script.endswith(("restart-service.sh", "isolate-service.sh")):
        assert {argument for argument in arguments if not argument.startswith("-")} <= PROCESSES
    if script.endswith("manage.sh"):
        assert arguments[0] in get_commands()


@pytest.mark.parametrize("command", [one for one in COMMANDS if "--only" in one.text], ids=lambda one: one.text[:80])
def test_doctor_knows_what_it_is_told_to_look_at(command: Command):
    chosen = command.text.partition("--only ")[2].split()
    assert set(chosen) <= {*COMPONENTS, *load_probes()}


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.kind == "compose"], ids=lambda one: one.text[:80])
def test_compose_command_names_a_file_and_services_that_there_are(command: Command):
    words = shlex.split(command.text)
    assert words[:3] == ["docker", "compose", "-f"]
    services = yaml.safe_load((settings.ROOT / words[3]).read_text())["services"]
    scaled = {word.partition("=")[0] for word in words if "=" in word}
    named = {words[-1]} if words[4] == "logs" else scaled
    assert named <= set(services)
