from apps.dashboard.pages.page import EVERYBODY, Page


class OperationsPage(Page):
    title = "Operations"
    entry = "operations"
    roles = EVERYBODY
    template_name = "dashboard/operations.html"
