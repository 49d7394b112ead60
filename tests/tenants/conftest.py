"""A bench of the whole service, as for the API."""

from tests.api.conftest import bench, empty_database, folder, no_pause, place, pool, spawner

__all__ = ["bench", "empty_database", "folder", "no_pause", "place", "pool", "spawner"]
