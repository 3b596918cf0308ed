"""What a server does beside answering: sweeps, imports and exports, maps, webhooks, the audit."""

import threading
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from app import retention
from app.core.liveness import Silence
from app.dispatch import Dispatcher
from app.hooks.deliverer import HookDeliverer
from app.loop.audit_chain import address_key
from app.map_drawer import MapDrawer
from app.seen import Seen
from app.settings import Settings
from app.store import Database
from app.sweep import seal_events, sweep_until
from app.transfers.runner import TransferRunner
from app.transfers.swept import Watch, sweep


class Background:
    """A server's threads, from its start to its end."""

    def __init__(self, database: Database, dispatcher: Dispatcher, settings: Settings) -> None:
        self.transfers = TransferRunner(database, settings, dispatcher.wake)
        self.maps = MapDrawer(database)
        self.seen = Seen()
        self._deliverer = HookDeliverer(database, settings)
        self._watch: Watch = Silence(settings.stale_seconds)
        self._database = database
        self._settings = settings
        self._stop = threading.Event()
        args = (self._stop, database, dispatcher, settings, self._at_each_sweep)
        # Of its own: the first time it may have years to remove.
        self._retention = threading.Thread(
            target=retention.until, args=(self._stop, database, settings), name="retention"
        )
        self._sweeper = threading.Thread(target=sweep_until, args=args, name="sweep")

    def start(self) -> None:
        """Begin; what the audit trail hashes addresses with is there from the start."""
        with suppress(SQLAlchemyError), self._database.writing() as session:
            address_key(session)
        self._sweeper.start()
        self._retention.start()
        self.transfers.start()
        self._deliverer.start()

    def stop(self) -> None:
        """End, each at its next step; what was gathered for the audit is kept."""
        self._stop.set()
        self.transfers.stop()
        self._deliverer.stop()
        self.maps.stop()
        self._sweeper.join()
        self._retention.join()
        with suppress(SQLAlchemyError):
            self.seen.write(self._database)
            seal_events(self._database)

    def _at_each_sweep(self) -> None:
        try:
            sweep(self._database, self._settings, self._watch)
        except SQLAlchemyError:
            self._watch.forget()
            raise
        self.seen.write_if_due(self._database)
        seal_events(self._database)
