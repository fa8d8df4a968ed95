"""Strategies, their versions and merge requests; deployments with their steps, runs and orders."""

from apps.strategies.models.deployments import (
    IN_PIPELINE,
    Deployment,
    DeploymentStep,
    Environment,
    Schedule,
)
from apps.strategies.models.running import DeploymentOrder, DeploymentRun
from apps.strategies.models.versions import MergeRequest, Strategy, StrategyVersion

__all__ = [
    "IN_PIPELINE",
    "Deployment",
    "DeploymentOrder",
    "DeploymentRun",
    "DeploymentStep",
    "Environment",
    "MergeRequest",
    "Schedule",
    "Strategy",
    "StrategyVersion",
]
