"""Where the bytes lie is one class: another one in its place, and the loop turns all the same."""

from collections.abc import Collection, Iterable

import pytest
from sqlalchemy import func, select

from app.core.blob import Blob
from app.loop.access import HERE
from app.loop.deletions import of_project
from app.store import Database, JobState, ModelVersion, StoredBlob, blobs
from tests.loop.deleting import delete
from tests.worker.projects import job_of, label_batch, make_project, runner


class Elsewhere:
    """Bytes in a dictionary, as in a folder or an object store."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, session, blobs: Iterable[Blob]) -> None:
        self.kept |= {blob.sha256: blob.data for blob in blobs}

    def get(self, session, names: Collection[str]) -> dict[str, bytes]:
        return {name: self.kept[name] for name in names if name in self.kept}

    def sizes(self, session, names: Collection[str]) -> dict[str, int]:
        return {name: len(body) for name, body in self.get(session, names).items()}

    def names(self, session, after: str, most: int) -> list[str]:
        return sorted(name for name in self.kept if name > after)[:most]

    def forget(self, session, names: Collection[str], in_use) -> set[str]:
        for name in set(names) - in_use(names):
            self.kept.pop(name, None)
        return set()


def test_pixels_masks_and_weights_can_lie_elsewhere(database_url):
    elsewhere = Elsewhere()
    database = Database(database_url, lock_timeout_seconds=5, blobs=elsewhere)
    label_batch(database, make_project(database))
    runner(database).work()
    assert job_of(database).state is JobState.SUCCEEDED, job_of(database).error
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(StoredBlob)) == 0
        assert session.scalars(select(ModelVersion)).one().weights_sha256 in elsewhere.kept
    gone = delete(database, lambda session: of_project(session, HERE, "p"))
    assert gone.bytes > 0
    assert elsewhere.kept == {}
    database.dispose()


def test_equal_bytes_are_kept_once_and_missing_ones_are_an_error(database):
    one, other = Blob.of(b"one"), Blob.of(b"other")
    with database.writing() as session:
        blobs.put(session, one, other, one)
        blobs.put(session, one)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(StoredBlob)) == 2
        assert blobs.get_many(session, [one.sha256, other.sha256]) == {
            one.sha256: b"one",
            other.sha256: b"other",
        }
        with pytest.raises(LookupError, match="1 blobs are gone"):
            blobs.get_many(session, [one.sha256, "0" * 64])


def test_two_transactions_that_keep_the_same_bytes_do_not_wait_for_ever(database):
    """Each keeps both, in opposite orders, one before the other has committed."""
    import threading

    both = [Blob.of(bytes([n]) * 10) for n in range(20)]
    start = threading.Barrier(2)
    failed = []

    def keep(order) -> None:
        start.wait()
        try:
            with database.writing() as session:
                blobs.put(session, *order)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=keep, args=(order,)) for order in (both, both[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
