"""Where checkpoints lie: in a folder, or in a store that all machines reach at an address.

The only importer of fsspec, which speaks to such stores: s3://, gs://, abfs://, sftp:// … Each needs a
package of its own, and keys and endpoints are where that package looks for them, never in the address.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from hpo.errors import InputError, Problem, nearest
from hpo.training.checkpoint import replace_file


class Depot(Protocol):
    """Files by name. What goes wrong is an OSError, whichever kind of depot it is."""

    @property
    def there(self) -> bool:
        """Whether it is to be seen from this machine."""

    @property
    def room(self) -> str:
        """What is left in it, in words; nothing where nobody knows."""

    @property
    def itself(self) -> object:
        """The same for every name that the same place has."""

    def prepare(self) -> None:
        """Make it, if it is not there."""

    def names(self) -> list[str]:
        """Return the names of all files in it; none if it is not there."""

    def read(self, name: str) -> bytes:
        """Return what a file holds."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place; a reader meets the one before or this one, never a part."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""

    def clear(self) -> None:
        """Remove all of it."""


class Folder:
    """A folder of this machine, or of a disk that it shares with others; for its owner alone."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    @property
    def there(self) -> bool:
        """Whether it is to be seen from this machine."""
        return self._path.exists()

    @property
    def room(self) -> str:
        """How many bytes are free."""
        try:
            return f"{shutil.disk_usage(self._path).free:,} are free in {self._path}"
        except OSError:
            return f"{self._path} is not to be had"

    @property
    def itself(self) -> object:
        """The folder on its disk, whatever links or mounts lead there."""
        try:
            found = self._path.stat()
        except OSError:
            return os.path.realpath(self._path)
        return found.st_dev, found.st_ino

    def prepare(self) -> None:
        """Make it, not for git."""
        if not self.there:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.joinpath(".gitignore").write_text("*\n", encoding="ascii")

    def names(self) -> list[str]:
        """Return the names of all files in it, also of those that a writer that died left half written."""
        return os.listdir(self._path) if self.there else []

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        return self._path.joinpath(name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place by one rename, once it is on the disk."""
        replace_file(self._path / name, content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        for name in names:
            self._path.joinpath(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove it, and the folder around it if that is empty then."""
        shutil.rmtree(self._path, ignore_errors=True)
        with suppress(OSError):  # there are others in it, or it is not there
            self._path.parent.rmdir()


class Store:
    """What lies under an address such as s3://bucket/path.

    Object stores show a file only when all of it is there. Others, such as sftp, may show a part of one,
    which its reader finds by the checksum.
    """

    there, room = True, ""

    def __init__(self, address: str) -> None:
        self._address = address

    @property
    def itself(self) -> object:
        """The kind of store and the path in it: s3a:// is s3://."""
        with _opened(self._address) as (files, path):
            return type(files), path

    def prepare(self) -> None:
        """Do nothing: it is there with its first file, and no bucket is made that was not asked for."""

    def names(self) -> list[str]:
        """Return the names of all files in it; another machine may have written some just now."""
        with _opened(self._address) as (files, path):
            files.invalidate_cache()
            try:
                found = files.ls(path, detail=False)
            except FileNotFoundError:
                return []
            return [str(it).rpartition("/")[2] for it in found]

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        with _opened(self._address) as (files, path):
            return bytes(files.cat_file(f"{path}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place."""
        with _opened(self._address) as (files, path):
            try:
                files.pipe_file(f"{path}/{name}", content)
            except FileNotFoundError:  # it has folders that must be made, or there is no such bucket
                files.mkdir(path, create_parents=False)
                files.pipe_file(f"{path}/{name}", content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        with _opened(self._address) as (files, path):
            for name in names:
                with suppress(FileNotFoundError):
                    files.rm_file(f"{path}/{name}")

    def clear(self) -> None:
        """Remove all of it."""
        with _opened(self._address) as (files, path), suppress(FileNotFoundError):
            files.invalidate_cache()
            files.rm(path, recursive=True)


@contextmanager
def _opened(address: str) -> Iterator[tuple[Any, str]]:
    """Yield a store and the path in it; what its package raises, each its own errors, becomes an OSError."""
    from fsspec.core import url_to_fs

    try:
        yield url_to_fs(address)
    except OSError:
        raise
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error


def of(place: str) -> Depot:
    """Return the depot at a place: a folder or an address."""
    return Store(place) if remote(place) else Folder(place)


def remote(place: str) -> bool:
    """Whether a place is an address."""
    return "://" in place


def whole(place: str) -> str:
    """Return a place as it holds in any folder: Ray's workers have their own."""
    return os.path.abspath(place) if place and not remote(place) else place


def demand_package(place: str) -> None:
    """Refuse an address that nothing installed here can reach.

    Raises:
        InputError: nobody knows such stores, or their package is missing.
    """
    if not remote(place):
        return
    from fsspec import available_protocols, get_filesystem_class

    protocol, where = place.partition("://")[0], f"checkpoints={place}"
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        message = f"{str(error).rstrip('.')}, here and on each machine that trains."
        raise InputError(Problem(where, message)) from None
    except ValueError:
        hint = nearest(protocol, available_protocols())
        raise InputError(Problem(where, f"Nothing is known of stores such as {protocol}.{hint}")) from None


def demand(place: str) -> None:
    """Refuse an address at which nothing can be kept, by keeping something there for a moment.

    Raises:
        InputError: it cannot be reached, or written.
    """
    if not remote(place):
        return
    demand_package(place)
    depot, name = of(place), f".hpo-{platform.node()}-{os.getpid()}"
    try:
        depot.write(name, b"")
        depot.remove([name])
    except OSError as error:
        message = f"Cannot keep anything there: {error.strerror or error}"
        raise InputError(Problem(f"checkpoints={place}", f"{message.rstrip('.')}.")) from None
