"""`/analytics/performance/{portfolio_id}/report`: contract section 7."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from apps.analytics.models import Report
from apps.analytics.reports.files import CONTENT_TYPES
from apps.analytics.reports.keep import kept_report, reported_performance, submit_first_report, submit_report
from apps.portfolios.access import get_visible_portfolio
from apps.tasks.api import AcceptedSerializer, accepted
from nautilus.api.access import Viewer
from nautilus.api.pages import refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView

ASK_AGAIN_SECONDS = 2

# The page needs its own style and nothing else: whatever a text in it might say, nothing is loaded, run or sent.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)

_FORMAT = OpenApiParameter("format", OpenApiTypes.STR, enum=list(Report.Format.values), description="Left out, `html`.")


class ReportSerializer(StrictSerializer):
    """No field: the path says it all."""


class _JsonUnlessFile(DefaultContentNegotiation):
    """`format` names the file here, and a client may well accept nothing but PDF; answers that are no file are JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ReportView(ApiView):
    roles = {"GET": Viewer, "HEAD": Viewer, "POST": Viewer}
    serializer_class = ReportSerializer
    content_negotiation_class = _JsonUnlessFile

    @extend_schema(
        parameters=[_FORMAT],
        responses={
            **{(200, kind.split(";")[0]): OpenApiTypes.BINARY for kind in CONTENT_TYPES.values()},
            202: AcceptedSerializer,
            304: OpenApiResponse(description="`If-None-Match` names the file as it is"),
        },
    )
    def get(self, request: Request, portfolio_id: str) -> HttpResponse:
        """The tear sheet of the latest performance: the file where it is made, else 202 and it is being made."""
        refuse_unknown_parameters(request, {"format"})
        file_format = _chosen_format(request)
        metric = reported_performance(get_visible_portfolio(request.user, portfolio_id))
        report = kept_report(metric, file_format)
        if report is None:
            return _being_made(accepted(submit_first_report(metric, request.user)))
        return file_answer(request, report)

    @extend_schema(responses={202: AcceptedSerializer})
    def post(self, request: Request, portfolio_id: str) -> Response:
        """Make the tear sheet in all formats, anew where it is made already: positions and limits are of now."""
        refuse_unknown_parameters(request, ())
        self.validated_json(request)
        metric = reported_performance(get_visible_portfolio(request.user, portfolio_id))
        return accepted(submit_report(metric, request.user))


def _chosen_format(request: Request) -> str:
    chosen = request.query_params.get("format", Report.Format.HTML)
    if chosen not in Report.Format.values:
        expected = ", ".join(Report.Format.values)
        detail = ErrorDetail(f"'{chosen}' is not a format of a report; expected one of {expected}.", "unknown_format")
        raise ValidationError({"format": [detail]})
    return chosen


def _being_made(answer: Response) -> Response:
    """A browser asks again by itself, so that a link to a report leads to it."""
    answer["Retry-After"] = str(ASK_AGAIN_SECONDS)
    answer["Refresh"] = str(ASK_AGAIN_SECONDS)
    return answer


def file_answer(request: Request | HttpRequest, report: Report) -> HttpResponse:
    """The file, or 304 where the caller has it; the content is read only if it is sent."""
    http_request = request._request if isinstance(request, Request) else request
    unchanged = get_conditional_response(http_request, etag=_etag(report))
    answer = unchanged or _whole_file(report)
    answer.setdefault("ETag", _etag(report))
    answer["Cache-Control"] = "private, no-cache"
    return answer


def _etag(report: Report) -> str:
    return f'"{report.sha256}"'


def _whole_file(found: Report) -> HttpResponse:
    # Read anew, name and content together: it may have been made again since it was looked for.
    report = Report.objects.select_related("metric").filter(pk=found.pk).first()
    if report is None:
        raise Http404(f"{found.file_name} was deleted just now. Ask again.")
    where = "inline" if report.format == Report.Format.HTML else "attachment"
    headers = {
        "Content-Disposition": f'{where}; filename="{report.file_name}"',
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "ETag": _etag(report),
    }
    return HttpResponse(bytes(report.content), CONTENT_TYPES[Report.Format(report.format)], headers=headers)
