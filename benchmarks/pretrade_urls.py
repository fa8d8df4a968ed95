"""Our urls, and two views that return a constant."""

from django.urls import include, path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus.api.access import Trader
from nautilus.api.views import ApiView

CONSTANT = {"approved": True}


class ConstantView(APIView):
    """As little as a DRF view can do that takes JSON: nobody is asked for credentials."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        return Response(CONSTANT if request.data else {})


class TradersConstantView(ApiView):
    """The same behind this API's door: the token is looked up, and the role."""

    roles = {"POST": Trader}

    def post(self, request: Request) -> Response:
        return Response(CONSTANT if request.data else {})


urlpatterns = [
    path("bench/constant", ConstantView.as_view()),
    path("bench/constant-for-traders", TradersConstantView.as_view()),
    path("", include("nautilus.urls")),
]
