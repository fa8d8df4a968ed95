"""Shows which Redis is the primary and how the replicas do, and makes another one the primary: docs/redis.md."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from nautilus.promotion import PromotionRefusedError, plan_promotion
from nautilus.redis_url import BadRedisUrlError
from nautilus.replication import HostState, redis_hosts

COLUMNS = "{:24} {:10} {:8} {:>14} {:>9} {:6} {}"


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--status", action="store_true", help="every server: role, replication, whether it answers")
        what.add_argument("--promote", metavar="HOST:PORT", help="makes this server of REDIS_URL's list the primary")
        parser.add_argument("--json", action="store_true", help="with --status: for machines")
        parser.add_argument("--force", action="store_true", help="with --promote: also while the primary answers")
        parser.add_argument("--dry-run", action="store_true", help="with --promote: says the steps and does none")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["status"]:
            self._show(redis_hosts(), as_json=options["json"])
            return
        try:
            self._promote(options["promote"], force=options["force"], dry_run=options["dry_run"])
        except (PromotionRefusedError, BadRedisUrlError) as error:
            raise CommandError(str(error)) from error
        except (RedisError, OSError) as error:
            raise CommandError(f"A server failed meanwhile: {error}. Look at --status, then promote again.") from error

    def _show(self, hosts: list[HostState], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([host.as_dict() for host in hosts], indent=1))
            return
        self.stdout.write(COLUMNS.format("server", "says", "primary", "offset", "behind", "link", "").rstrip())
        for host in hosts:
            self.stdout.write(_line(host))

    def _promote(self, target: str, *, force: bool, dry_run: bool) -> None:
        promotion = plan_promotion(settings.REDIS_URL, target, force=force)
        if dry_run:
            for said in promotion.plan():
                self.stdout.write(f"would do: {said}")
            return
        for said in promotion.carry_out():
            self.stdout.write(f"done: {said}")


def _line(host: HostState) -> str:
    said = host.error or ("holds old data, nobody writes to it" if host.is_stale_primary else "")
    if host.follows:
        said = f"follows {host.follows}"
    shown = (_or_dash(host.role), "yes" if host.is_primary else "", _or_dash(host.offset), _or_dash(host.behind_bytes))
    return COLUMNS.format(host.host, *shown, _or_dash(host.link), said).rstrip()


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
