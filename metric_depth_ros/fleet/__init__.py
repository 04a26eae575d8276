"""Many jobs on all cores or on a Ray cluster: none is lost or done twice when a worker dies."""

from metric_depth_ros.fleet.jobs import Ended, Job, UnexpectedError, count
from metric_depth_ros.fleet.runner import Fleet, run_jobs

__all__ = ["Ended", "Fleet", "Job", "UnexpectedError", "count", "run_jobs"]
