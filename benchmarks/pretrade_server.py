"""The platform's web process with two views beside it that return a constant: the peers of benchmarks/pretrade.py."""
# ruff: noqa: E402 - the setting stands before anything reads it

from django.conf import settings

settings.ROOT_URLCONF = "benchmarks.pretrade_urls"

from nautilus.asgi import application

__all__ = ["application"]
