"""A file each; to add one: a function here that registers itself, its findings' section in docs/runbook.md."""
