"""Telling workers that there is something to do. The message carries nothing: the row does."""

from collections.abc import Iterable
from typing import Any, Protocol

import structlog
from celery import Celery
from redis import Redis

TASK_NAME = "sfumato.work"
# Runs of a benchmark are no jobs of a project: they have a queue and a task of their own.
BENCHMARK_TASK = "sfumato.benchmark"
BENCHMARK_QUEUE = "benchmark"
_log = structlog.get_logger("sfumato.dispatch")


class Dispatcher(Protocol):
    """Whatever can wake the workers of a queue."""

    def wake(self, queues: Iterable[str]) -> None:
        """Tell the workers of these queues to look for jobs; never raises."""


class CeleryDispatcher:
    """Wakes workers through the broker. A broker that is down costs a second, not the job."""

    def __init__(self, broker_url: str) -> None:
        self._celery = celery_app(broker_url)

    def wake(self, queues: Iterable[str]) -> None:
        """Send one message a queue; when that fails, the sweep sends it again."""
        for queue in queues:
            try:
                self._celery.send_task(
                    TASK_NAME, queue=queue, expires=300, retry=False, ignore_result=True
                )
            except Exception as error:  # whatever the broker library raises: the job is safe
                _log.warning("broker unreachable", queue=queue, error=str(error))


class NoDispatcher:
    """Wakes nobody: for a service without a broker."""

    def wake(self, queues: Iterable[str]) -> None:
        """Do nothing; workers that are started later look by themselves."""


def broker_client(broker_url: str, **options: Any) -> Redis:
    """A connection to the broker, whose address on a socket Celery and redis spell differently."""
    return Redis.from_url(broker_url.replace("redis+socket://", "unix://", 1), **options)


def celery_app(broker_url: str) -> Celery:
    """The Celery application that server and worker share: names and transport, no tasks."""
    celery = Celery("sfumato", broker=broker_url)
    celery.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 1, "socket_timeout": 5},
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    return celery
