from django.urls import path

from apps.tasks.api import RetryView, TasksView, TaskView

urlpatterns = [
    path("tasks", TasksView.as_view()),
    path("tasks/<uuid:task_id>", TaskView.as_view()),
    path("tasks/<uuid:task_id>/retry", RetryView.as_view()),
]
