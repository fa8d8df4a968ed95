from apps.dashboard.pages.page import Page


class StrategiesPage(Page):
    title = "Strategies"
    entry = "strategies"
    roles = ("viewer",)
    template_name = "dashboard/strategies.html"
