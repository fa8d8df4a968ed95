from django.apps import AppConfig


class StrategiesConfig(AppConfig):
    name = "apps.strategies"
    verbose_name = "Strategies"

    def ready(self) -> None:
        from apps.realtime.access import register_topic
        from apps.strategies.access import check_may_deploy, may_read_deployment
        from apps.strategies.kinds import RUN
        from apps.tasks.kinds import register_kind

        register_topic("deployments:", may_read_deployment)
        register_kind(RUN, check_may_deploy)  # a deployment is asked for anew, not its task
