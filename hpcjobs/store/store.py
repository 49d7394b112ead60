"""The engine: opens the database, brings its schema up to date, runs work on it off the event loop.

All writing goes through one thread, and what is asked for while a transaction runs goes into the next one together:
one fsync for all who wait (group commit), and one call for all of what can be done many at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import alembic.command
import alembic.config
import uuid_utils
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from hpcjobs.errors import Refusal, Refused, Unavailable

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
MAX_GROUP = 128
GATHER_S: Final = 0.002
"""Where several had to wait for a transaction, the next one waits so long for those whose turn this has brought."""
MIGRATIONS = Path(__file__).parent / "migrations"


def new_id() -> str:
    """A new id: 32 hexadecimal digits that sort by time (UUIDv7, RFC 9562)."""
    return uuid_utils.uuid7().hex


def normal_url(url: str) -> str:
    """The URL with the driver that we ship: ``postgresql://`` means psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _tune_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  DBAPI
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. FULL: an answered submission survives a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _ours(error: DBAPIError) -> Exception:
    """A fault of the database as one of ours; a constraint that does not hold stays what it is."""
    if isinstance(error, DataError):
        return Refused([Refusal("", "The request holds a text that the database cannot: too long, or with NUL.")])
    if isinstance(error, OperationalError):
        return Unavailable(f"The database does not answer: {error.orig}", kept="Nothing was changed.")
    if error.connection_invalidated:
        return Unavailable("The connection to the database broke.", kept="Nothing was changed.")
    return error


class _Wish(NamedTuple):
    """What a caller waits for: a function of a connection, or of a connection and many items of which it has one."""

    work: Callable[..., Any]
    future: asyncio.Future[Any]
    items: tuple[Any, ...] = ()


def _fulfil(connection: Connection, wishes: Sequence[_Wish]) -> list[Any]:
    """Do all; items for the same function in one call, at the place of the first of them."""
    outcomes: list[Any] = [None] * len(wishes)
    calls: dict[object, list[int]] = {}
    for index, wish in enumerate(wishes):
        calls.setdefault(wish.work if wish.items else index, []).append(index)
    for indexes in calls.values():
        wish = wishes[indexes[0]]
        if wish.items:
            done = wish.work(connection, [item for index in indexes for item in wishes[index].items])
            for index, outcome in zip(indexes, done, strict=True):
                outcomes[index] = outcome
        else:
            outcomes[indexes[0]] = wish.work(connection)
    return outcomes


class Store:
    """The database.

    Args:
        url: SQLAlchemy URL: ``sqlite:////var/lib/hpcjobs/hpcjobs.db`` or ``postgresql://user:word@host/name``.
    """

    def __init__(self, url: str) -> None:
        self.url = normal_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self.engine = self._open()
        # One thread, so always the same connection: SQLite forgets what it has read when another one has written.
        self._writing = self._open()
        self._readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="store-read")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-write")
        self._waiting: list[_Wish] = []
        self._flushing: asyncio.Task[None] | None = None
        self.committed: list[Callable[[], None]] = []
        """Called on the event loop after each transaction."""
        self.commits = 0
        """How many transactions wrote; ``writes``: how many works were in them; ``write_s``: what they took."""
        self.writes = 0
        self.write_s = 0.0

    def _open(self) -> Engine:
        # hide_parameters: what users wrote belongs in no log. A silent PostgreSQL must not hold the service for ever.
        silence = {} if self.is_sqlite else {"connect_timeout": 5, "options": "-c statement_timeout=20000"}
        engine = create_engine(self.url, pool_pre_ping=not self.is_sqlite, hide_parameters=True, connect_args=silence)
        if self.is_sqlite:
            event.listen(engine, "connect", _tune_sqlite)
        return engine

    def upgrade(self) -> None:
        """Bring the schema up to the newest migration. Safe to run by several processes one after the other."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        alembic.command.upgrade(config, "head")

    async def read(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of this folder on a connection of its own.

        Raises:
            Unavailable: The database does not answer.
        """

        def on_a_connection() -> T:
            with self.engine.connect() as connection:
                return work(connection, *args, **kwargs)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, on_a_connection)
        except DBAPIError as error:
            raise _ours(error) from error

    async def write(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of this folder in a transaction: all of it is kept, or nothing. In the order of the calls.

        The function may be run twice, when another in the same transaction failed; only the second run counts.

        Raises:
            Unavailable: The database does not answer.
        """
        outcome: T = await self._enqueue(lambda connection: work(connection, *args, **kwargs))
        return outcome

    async def write_each(self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item) -> T:
        """Run a function that does many at once, for one; what others ask it for meanwhile goes into the same call.

        It may be done before what was asked for earlier, of another function, in the same transaction.

        Args:
            work: A function of this folder; returns one outcome an item, in their order. It may be run twice, see
                write().
            item: What to do it with.

        Raises:
            Unavailable: The database does not answer.
        """
        outcome: T = await self._enqueue(work, item)
        return outcome

    def _enqueue(self, work: Callable[..., Any], *items: object) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        wish = _Wish(work, loop.create_future(), items)
        self._waiting.append(wish)
        if self._flushing is None:
            self._flushing = loop.create_task(self._flush())
        return wish.future

    async def _flush(self) -> None:
        """Write what waits, group by group, until nothing does."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                begun = time.perf_counter()
                outcomes = await loop.run_in_executor(self._writer, self._commit, group)
                if isinstance(outcomes[-1], Unavailable):  # those behind need not wait as long again
                    outcomes += [outcomes[-1]] * len(self._waiting)
                    group, self._waiting = group + self._waiting, []
                self.commits += 1
                self.writes += len(group)
                self.write_s += time.perf_counter() - begun
                for wish, outcome in zip(group, outcomes, strict=True):
                    if wish.future.done():  # its caller has gone
                        continue
                    if isinstance(outcome, BaseException):
                        wish.future.set_exception(outcome)
                    else:
                        wish.future.set_result(outcome)
                for listener in self.committed:
                    listener()
                if len(group) > 1:
                    await asyncio.sleep(GATHER_S)
        finally:
            self._flushing = None

    def _commit(self, group: list[_Wish]) -> list[Any]:
        """One transaction for all; where one of them fails, one for each. Results, or exceptions in their place.

        A database that does not answer is asked once for all.
        """
        try:
            with self._writing.begin() as connection:
                return _fulfil(connection, group)
        except Exception as error:  # noqa: BLE001  handed to its caller
            fault = _ours(error) if isinstance(error, DBAPIError) else error
            if len(group) > 1 and not isinstance(fault, Unavailable):
                return [outcome for wish in group for outcome in self._commit([wish])]
            return [fault] * len(group)

    async def ping(self) -> None:
        """Ask the database for nothing.

        Raises:
            Unavailable: It does not answer.
        """
        await self.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())

    def close(self) -> None:
        """Let go of threads and connections; what still waits to be written is written."""
        self._readers.shutdown()
        self._writer.shutdown()
        self.engine.dispose()
        self._writing.dispose()
