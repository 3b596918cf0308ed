"""What is kept: SQLAlchemy models by aggregate, the session, and the port to the blobs."""

from app.store.accounts import Account, Identity, Member, Role, SignIn, Token
from app.store.audit import Event, Installation
from app.store.base import Base, database_now, utc_now
from app.store.blobs import BlobStore, StoredBlob
from app.store.cases import Case, Image, Project, Slice, Truth
from app.store.checkpoints import CheckpointPart
from app.store.hooks import Delivery, DeliveryState, Hook, HookEvent
from app.store.jobs import ACTIVE_STATES, Job, JobKind, JobState, Worker
from app.store.masks import Agreement, Label, Mask, MaskOrigin, MaskSource, Review, ReviewState
from app.store.models import ModelVersion, Score, SliceFeatures, Suggestion
from app.store.rounds import Lease, LeaseOutcome, MapPoint, QueryItem, Round, RoundState
from app.store.session import Database
from app.store.transfers import Transfer, TransferKind
from app.store.tunings import Tuning

__all__ = [
    "ACTIVE_STATES",
    "Account",
    "Agreement",
    "Base",
    "BlobStore",
    "Case",
    "CheckpointPart",
    "Database",
    "Delivery",
    "DeliveryState",
    "Event",
    "Hook",
    "HookEvent",
    "Identity",
    "Image",
    "Installation",
    "Job",
    "JobKind",
    "JobState",
    "Label",
    "Lease",
    "LeaseOutcome",
    "MapPoint",
    "Mask",
    "MaskOrigin",
    "MaskSource",
    "Member",
    "ModelVersion",
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
    "SliceFeatures",
    "StoredBlob",
    "Suggestion",
    "Token",
    "Transfer",
    "TransferKind",
    "Truth",
    "Tuning",
    "Worker",
    "database_now",
    "utc_now",
]
