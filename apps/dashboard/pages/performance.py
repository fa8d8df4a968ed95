from apps.dashboard.pages.page import Page


class PerformancePage(Page):
    title = "Performance"
    entry = "performance"
    roles = ("viewer",)
    template_name = "dashboard/performance.html"
