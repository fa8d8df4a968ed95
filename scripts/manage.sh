#!/usr/bin/env bash
# Runs a manage.py command in the platform's own environment.
#
#   scripts/manage.sh COMMAND [ARGUMENTS...]
#
#   scripts/manage.sh doctor
#   scripts/manage.sh timeseries --status
#
# With `make run`: with the variables that its processes have (NAUTILUS_HOME names another home than .nautilus).
# With compose: in the container of `backend`. The exit code is the command's.
# NAUTILUS_MODE=compose|local overrules what is found.
set -euo pipefail
# shellcheck source=scripts/lib/nautilus.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/nautilus.sh"

case ${1:-} in
    -h | --help) show_help "${BASH_SOURCE[0]}" && exit 0 ;;
    "") usage_error "No command was given, such as doctor." ;;
esac
manage "$@"
