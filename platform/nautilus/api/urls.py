from django.urls import path

from nautilus.api.views import MeView, TicketView, TokenView

urlpatterns = [
    path("token", TokenView.as_view()),
    path("me", MeView.as_view()),
    path("ws-ticket", TicketView.as_view()),
]
