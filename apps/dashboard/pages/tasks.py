from apps.dashboard.pages.page import EVERYBODY, Page


class TasksPage(Page):
    title = "Tasks"
    entry = "tasks"
    roles = EVERYBODY
    template_name = "dashboard/tasks.html"
