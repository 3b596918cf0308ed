"""What may be asked for by name."""

from app.api.dependencies import Reading, SignedIn
from app.api.limits import Router
from app.api.schemas.projects import CatalogueOut, EntryOut
from app.core import catalogue
from app.core.catalogue import Kind
from app.loop.capabilities import list_catalogue

router = Router(tags=["projects"])


@router.get("/catalogue")
def show_catalogue(session: Reading, viewer: SignedIn) -> CatalogueOut:
    """All that has a name, ours and installed packages': measures, networks, recipes and more.

    An entry with an `error` can be loaded by no worker that is running.
    """

    def listed(kind: Kind) -> list[EntryOut]:
        return [EntryOut.model_validate(entry) for entry in list_catalogue(session, kind)]

    return CatalogueOut(
        measures=listed("measure"),
        strategies=listed("strategy"),
        streams=listed("stream"),
        layouts=listed("layout"),
        writers=listed("writer"),
        networks=listed("network"),
        recipes=listed("recipe"),
    )


@router.get("/strategies")
def list_strategies(viewer: SignedIn) -> list[str]:
    """The names of the query strategies that a project may use."""
    return list(catalogue.names("strategy"))
