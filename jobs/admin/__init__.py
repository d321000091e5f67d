"""Admin pages of jobs, steps and worker nodes. Django finds them by importing this package."""

from jobs.admin.jobs import JobAdmin
from jobs.admin.nodes import NodeAdmin
from jobs.admin.steps import StepAdmin

__all__ = ["JobAdmin", "NodeAdmin", "StepAdmin"]
