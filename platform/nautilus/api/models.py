"""Answers kept so that a repeated POST gets the same one."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class IdempotentAnswer(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="Hash over method, path and body")
    status_code = models.IntegerField(default=0)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotent_answer_is_one_row")]

    def __str__(self) -> str:
        return self.key
