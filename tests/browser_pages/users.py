"""Users with roles, made on a running platform as an admin would make them, but faster than by hand."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page

from tests.running import Platform

SAMPLE_DESK = "sample_book"  # its members see the sample portfolios

USER = """
INSERT INTO auth_user (username, password, first_name, last_name, email, is_active, is_staff, is_superuser, date_joined)
VALUES (%s, %s, '', '', '', true, false, false, now()) RETURNING id
"""
MEMBER = """
INSERT INTO auth_user_groups (user_id, group_id) SELECT %s, id FROM auth_group WHERE name = %s
"""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    password: str


def make_user(platform: Platform, groups: Sequence[str]) -> User:
    """`groups` are roles and desks."""
    user = User(f"{'-'.join(groups[:1]) or 'nobody'}-{secrets.token_hex(3)}", secrets.token_urlsafe(12))
    # One turn of the hash: signing in costs half a second of a busy machine otherwise.
    hashed = PBKDF2PasswordHasher().encode(user.password, secrets.token_hex(8), iterations=1)
    ((user_id,),) = platform.query(USER, user.name, hashed)
    for group in groups:
        platform.run("INSERT INTO auth_group (name) VALUES (%s) ON CONFLICT (name) DO NOTHING", group)
        platform.run(MEMBER, user_id, group)
    return user


def sign_in(page: Page, user: User) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(user.name)
    page.get_by_label("Password").fill(user.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)
