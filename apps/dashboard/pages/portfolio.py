from apps.dashboard.pages.page import Page


class PortfolioPage(Page):
    title = "Portfolio"
    entry = "portfolio"
    roles = ("viewer",)
    template_name = "dashboard/portfolio.html"
