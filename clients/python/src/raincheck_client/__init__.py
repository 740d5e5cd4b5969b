"""Submit jobs to raincheck, follow them, and get their results.

    client = Client("http://127.0.0.1:8080", api_key="rk_…")
    job = client.submit("report.render", {"month": 3})
    print(job.id)                 # known before anything is waited for
    print(job.result().json())    # waits, and raises JobFailed if the job did not succeed
"""

from .client import Client
from .download import Download
from .errors import (
    ApiError,
    JobFailed,
    RaincheckError,
    Redirected,
    ResultDamaged,
    Unreachable,
    WaitTimeout,
    WebhookRejected,
)
from .handle import JobHandle, Result
from .job import Job
from .redrive import Redriven, Retried, Unretried
from .schedules import NextRun, Schedule, Schedules
from .webhook import WebhookEvent, verify_webhook

__all__ = [
    "ApiError",
    "Client",
    "Download",
    "Job",
    "JobFailed",
    "JobHandle",
    "NextRun",
    "RaincheckError",
    "Redirected",
    "Redriven",
    "Result",
    "ResultDamaged",
    "Retried",
    "Schedule",
    "Schedules",
    "Unreachable",
    "Unretried",
    "WaitTimeout",
    "WebhookEvent",
    "WebhookRejected",
    "verify_webhook",
]
