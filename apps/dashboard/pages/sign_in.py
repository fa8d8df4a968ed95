"""Signing in and out: Django's views in the dashboard's look; the session is the admin's as well."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "No user has this name and this password. Mind upper and lower case.",
        "inactive": "This user is switched off. An admin can switch it on.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""


class SignInPage(LoginView):
    template_name = "dashboard/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
    next_page = "dashboard:overview"
    extra_context = {"title": "Sign in"}


class SignOut(LogoutView):
    next_page = "dashboard:sign-in"
