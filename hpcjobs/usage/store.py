"""The file of usage: opened once, written by one thread, read by several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import duckdb

from hpcjobs.errors import SettingsError, Unavailable
from hpcjobs.usage.tables import TABLES, VERSION

P = ParamSpec("P")
T = TypeVar("T")
IN_MEMORY: Final = ":memory:"
READERS: Final = 2


class UsageStore:
    """Usage of all clusters. Whatever reads or writes it is a function of a connection, as for ``hpcjobs.store``.

    Args:
        path: The file; ``:memory:`` for tests.
        memory: How much memory its questions may take together, in DuckDB's words; what is more goes to disk.
    """

    def __init__(self, path: str, memory: str = "512MB") -> None:
        self.path = path
        self._memory = memory
        self._database: duckdb.DuckDBPyConnection | None = None
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="usage-read")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="usage-write")

    def open(self) -> None:
        """Open the file, or make it.

        Raises:
            SettingsError: It cannot be opened, is another process's, or of a later version.
        """
        try:
            if self.path != IN_MEMORY:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            database = duckdb.connect(self.path, config={"memory_limit": self._memory, "threads": READERS})
            database.execute(TABLES)
            database.execute("INSERT INTO meta SELECT ? WHERE NOT EXISTS (FROM meta)", [VERSION])
            found = database.execute("SELECT max(version) FROM meta").fetchone()
        except (duckdb.Error, OSError) as error:
            raise SettingsError(f"{self.path}: usage cannot be kept there: {error}") from error
        if found != (VERSION,):
            database.close()
            raise SettingsError(f"{self.path}: usage is of version {found and found[0]}, this service knows {VERSION}")
        self._database = database

    def _with_connection(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        if self._database is None:
            raise Unavailable("Usage is not open.", kept="Nothing was changed.")
        try:
            with self._database.cursor() as connection:
                return work(connection)
        except duckdb.Error as error:
            raise Unavailable(f"Usage does not answer: {error}", kept="Nothing was changed.") from error

    async def read(
        self, work: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of a connection, beside others. What it reads is of one moment, whatever is written meanwhile.

        Raises:
            Unavailable: The file cannot be read.
        """

        def at_one_moment(connection: duckdb.DuckDBPyConnection) -> T:
            connection.begin()
            try:
                return work(connection, *args, **kwargs)
            finally:
                connection.rollback()

        return await asyncio.get_running_loop().run_in_executor(self._readers, self._with_connection, at_one_moment)

    async def write(
        self, work: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of a connection in a transaction: all of it is kept, or nothing. One after the other.

        Raises:
            Unavailable: The file cannot be written.
        """

        def in_a_transaction(connection: duckdb.DuckDBPyConnection) -> T:
            connection.begin()
            try:
                done = work(connection, *args, **kwargs)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            return done

        return await asyncio.get_running_loop().run_in_executor(self._writer, self._with_connection, in_a_transaction)

    def close(self) -> None:
        """Let go of it; what still waits to be written is written."""
        self._readers.shutdown()
        self._writer.shutdown()
        if self._database is not None:
            self._database.close()
            self._database = None
