"""Whether the service lives, whether it can work, and its metrics for Prometheus."""

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from app.api.dependencies import Reading
from app.api.limits import Router
from app.loop.status import check_ready, job_counts

router = Router(tags=["health"])


class Health(BaseModel):
    """The state in one word."""

    status: str


@router.get("/health/live")
def live() -> Health:
    """The process answers."""
    return Health(status="live")


@router.get("/health/ready")
def ready(session: Reading) -> Health:
    """The database answers too; 503 with a problem when it does not."""
    check_ready(session)
    return Health(status="ready")


@router.get("/metrics", response_class=Response)
def metrics(request: Request, session: Reading) -> Response:
    """Request counts and durations, and jobs by state, in Prometheus' text format."""
    kept = request.app.state.metrics
    kept.set_jobs(job_counts(session))
    return Response(generate_latest(kept.registry), media_type=CONTENT_TYPE_LATEST)
