"""What an import did, or would do: kept with it, printed, and shown on the dashboard."""

from dataclasses import asdict, dataclass, field
from typing import Any

from app.core.splits import Split
from app.formats.facts import CaseFacts

# More cases or files than this are counted under "unlisted": a report is read by people.
LISTED = 5000


@dataclass(frozen=True)
class CaseTaken:
    """One case that came in, or would: see ``formats.facts.CaseFacts``. Spacing in mm."""

    name: str
    split: Split
    slices: int
    height: int
    width: int
    spacing: dict[str, float] | None
    plane: str | None
    channels: list[str]
    classes: list[str]
    windows: list[str]
    missing: int
    low: float
    high: float
    unit: str | None

    @classmethod
    def of(
        cls, name: str, split: Split, facts: CaseFacts, channels: list[str], classes: list[str]
    ) -> "CaseTaken":
        """From what a reader found; ``classes`` are the project's."""
        return cls(
            name=name,
            split=split,
            slices=facts.slices,
            height=facts.height,
            width=facts.width,
            spacing=asdict(facts.spacing) if facts.spacing else None,
            plane=facts.plane,
            channels=channels,
            classes=[classes[n] for n in facts.classes or ()],
            windows=list(facts.windows),
            missing=facts.missing,
            low=facts.low,
            high=facts.high,
            unit=facts.unit,
        )


@dataclass
class ImportReport:
    """What an import did; with ``checked``, what it would have done.

    ``found``: what the folder was taken for; ``refused``: each case that could not be taken, and
    why; ``left_out``: files, and why; ``warnings`` what of a case is not exactly as in its files,
    and under "" what concerns all; ``retraining``: the queues to wake for what has become due.
    """

    layout: str = ""
    found: str = ""
    checked: bool = False
    cases: int = 0
    new_slices: int = 0
    known_slices: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    taken: list[CaseTaken] = field(default_factory=list)
    retraining: set[str] = field(default_factory=set)

    def warn(self, case: str, *said: str) -> None:
        """Add to what is said of a case."""
        if said:
            self.warnings.setdefault(case, []).extend(said)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        kept = asdict(self)
        del kept["retraining"]
        kept["unlisted"] = {}
        for part in ("taken", "refused", "left_out", "warnings"):
            found = kept[part]
            if len(found) > LISTED:
                kept["unlisted"][part] = len(found) - LISTED
                listed = list(found)[:LISTED]
                kept[part] = {k: found[k] for k in listed} if isinstance(found, dict) else listed
        return kept
