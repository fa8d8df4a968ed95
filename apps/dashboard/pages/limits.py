from apps.dashboard.pages.page import Page


class LimitsPage(Page):
    title = "Limits and alerts"
    entry = "limits"
    roles = ("viewer",)
    template_name = "dashboard/limits.html"
