"""The Celery application; every setting of it stands in nautilus/settings.py under CELERY_."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")

app = Celery("nautilus")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"], related_name=None)
