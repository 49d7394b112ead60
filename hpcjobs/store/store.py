"""The engine: opens the database, brings its schema up to date, runs work on it off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import alembic.command
import alembic.config
import uuid_utils
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlmodel import Session, select

from hpcjobs.errors import Refusal, Refused, Unavailable

P = ParamSpec("P")
T = TypeVar("T")
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


class Store:
    """The database.

    Args:
        url: SQLAlchemy URL: ``sqlite:////var/lib/hpcjobs/hpcjobs.db`` or ``postgresql://user:word@host/name``.
    """

    def __init__(self, url: str) -> None:
        self.url = normal_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        # hide_parameters: what users wrote belongs in no log. A silent PostgreSQL must not hold the service for ever.
        silence = {} if self.is_sqlite else {"connect_timeout": 5, "options": "-c statement_timeout=20000"}
        self.engine: Engine = create_engine(
            self.url, pool_pre_ping=not self.is_sqlite, hide_parameters=True, connect_args=silence
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", _tune_sqlite)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="store")
        self._writing = asyncio.Lock()

    def upgrade(self) -> None:
        """Bring the schema up to the newest migration. Safe to run by several processes one after the other."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        alembic.command.upgrade(config, "head")

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except DataError as error:
            raise Refused(
                [Refusal("", "The request holds a text that the database cannot: too long, or with NUL.")]
            ) from error
        except OperationalError as error:
            raise Unavailable(f"The database does not answer: {error.orig}", kept="Nothing was changed.") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("The connection to the database broke.", kept="Nothing was changed.") from error
            raise

    async def read(self, work: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the repository on a session of its own.

        Raises:
            Unavailable: The database does not answer.
        """

        def in_session() -> T:
            with Session(self.engine) as session:
                return work(session, *args, **kwargs)

        return await self._run(in_session)

    async def write(self, work: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the repository in one transaction: all of it is kept, or nothing.

        Raises:
            Unavailable: The database does not answer.
        """

        def in_transaction() -> T:
            with Session(self.engine) as session, session.begin():
                return work(session, *args, **kwargs)

        async with self._writing:
            return await self._run(in_transaction)

    async def ping(self) -> None:
        """Ask the database for nothing.

        Raises:
            Unavailable: It does not answer.
        """
        await self.read(lambda session: session.exec(select(1)).one())

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown()
        self.engine.dispose()
