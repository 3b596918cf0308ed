"""What is kept: SQLAlchemy models by aggregate, the session, the pixel codecs."""

from app.store.accounts import Account, Event, Role, SignIn, Token
from app.store.base import Base, utc_now
from app.store.cases import Case, Project, Slice, SliceImage, Truth
from app.store.jobs import ACTIVE_STATES, Job, JobKind, JobState
from app.store.masks import Agreement, Label, Mask, MaskSource, Review, ReviewState
from app.store.models import ModelVersion, Prediction, Score, Suggestion
from app.store.rounds import Lease, LeaseOutcome, MapPoint, QueryItem, Round, RoundState
from app.store.session import Database

__all__ = [
    "ACTIVE_STATES",
    "Account",
    "Agreement",
    "Base",
    "Case",
    "Database",
    "Event",
    "Job",
    "JobKind",
    "JobState",
    "Label",
    "Lease",
    "LeaseOutcome",
    "MapPoint",
    "Mask",
    "MaskSource",
    "ModelVersion",
    "Prediction",
    "Project",
    "QueryItem",
    "Review",
    "ReviewState",
    "Role",
    "Round",
    "RoundState",
    "Score",
    "SignIn",
    "Slice",
    "SliceImage",
    "Suggestion",
    "Token",
    "Truth",
    "utc_now",
]
