"""Whether the service lives, and whether it can work."""

from pydantic import BaseModel

from app.api.dependencies import Reading
from app.api.limits import Router
from app.loop.status import check_ready

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
