"""Traces and bytes of other clones, from DVC's default remote. It is asked only for what is missing here.

DVC itself does the transfers. So every remote that carries a run-cache works: folders, ssh and object stores, but not
http. DVC is imported only if a remote is configured and something is missing.
"""

import logging
from functools import cached_property
from typing import Any

from traced.cache import Cache, read_listing

Entry = dict[str, Any]
log = logging.getLogger("traced")


class UnreachableError(Exception):
    """The remote cannot be asked. The message says why."""


class DamagedError(UnreachableError):
    """The remote gave other bytes than it promised. They are known from then on, and not asked for again."""


def leave_open() -> None:
    """Let connections by ssh end with the process, and not when they are garbage collected.

    sshfs (2026.9) closes them in whichever event loop runs at that moment. If it is Snakemake's, Snakemake waits for
    that in the end, and for ever.
    """
    try:
        from sshfs.spec import SSHFileSystem
    except ImportError:
        return
    SSHFileSystem._finalize = staticmethod(lambda *_: None)


class Remote:
    """The default remote of DVC's configuration (`core.remote`), if there is one."""

    def __init__(self, settings: dict[str, str], cache: Cache) -> None:
        self.name = settings.get("core.remote")
        self.cache = cache
        self.damaged: set[str] = set()
        """Objects that the remote promised, and that were not whole when they came."""

    @cached_property
    def odb(self) -> Any:
        """DVC's view of the remote. UnreachableError if there is no remote, or if it does not answer."""
        if not self.name:
            raise UnreachableError("no default remote")
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        leave_open()
        try:
            self.repo = Repo()
            odb = self.repo.cloud.get_remote_odb(None, "fetch")
            odb.fs.exists(odb.path)
        except (DvcException, OSError) as error:
            self.name = None
            raise UnreachableError(f"{type(error).__name__}: {error}".strip()) from error
        return odb

    def reachable(self) -> bool:
        """Tell whether there is a remote that answers. If it does not, say why, once."""
        if not self.name:
            return False
        try:
            return self.odb is not None
        except UnreachableError as error:
            log.warning("the remote cannot be used, only what is here is known: %s", error)
            return False

    @property
    def runs(self) -> str:
        """Where the remote keeps the run-cache: beside its objects."""
        path = self.odb.path.rstrip("/")
        return str(path.removesuffix("/files/md5") + "/runs")

    def lookup(self, key: str) -> list[Entry]:
        """List the traces that the remote has of a key."""
        if not self.reachable():
            return []
        from traced.store import key_of, parse_entry

        folder = f"{self.runs}/{key[:2]}/{key}"
        try:
            texts = {path.rpartition("/")[2]: self.odb.fs.fs.cat_file(path) for path in self.odb.fs.find(folder)}
        except OSError:
            return []
        entries = [entry for name, text in texts.items() if (entry := parse_entry(text, name))]
        return [entry for entry in entries if key_of(entry) == key]

    def path(self, md5: str) -> str:
        """Return where the remote has an object."""
        return str(self.odb.oid_to_path(md5))

    def holds(self, md5s: list[str]) -> bool:
        """Tell whether the remote has all files of these digests. The lists of folders are fetched for that."""
        if not self.reachable():
            return False
        lists = [md5 for md5 in md5s if md5.endswith(".dir")]
        if not all(self.cache.files(md5) is not None or self.fetch_list(md5) for md5 in lists):
            return False
        lacking = self.lacking(md5s)
        return not lacking & self.damaged and all(self.odb.fs.isfile(self.path(md5)) for md5 in lacking)

    def fetch_list(self, md5: str) -> bool:
        """Fetch the list of a folder's files. False if the remote does not have it, or has something else there."""
        try:
            text = self.odb.fs.fs.cat_file(self.path(md5))
        except OSError:
            return False
        if read_listing(text, md5) is None:
            log.warning("the remote's list of the folder %s is damaged: it is not used", md5)
            return False
        self.cache.put_listing(text, md5)
        return True

    def lacking(self, md5s: list[str]) -> set[str]:
        """Return the objects that are not here, of files and of what is inside folders."""
        return {one for md5 in md5s for one in self.cache.lacking(md5)}

    def fetch(self, md5s: list[str]) -> None:
        """Fetch objects into the cache, and check that they are whole.

        UnreachableError if some cannot be had, DamagedError if some are not what their names say.
        """
        from dvc_data.hashfile.hash_info import HashInfo

        if not self.holds(md5s):
            raise UnreachableError(f"neither the cache nor the remote has all of {', '.join(md5s)}")
        lacking = self.lacking(md5s)
        self.cache.drop(lacking)
        self.cache.make_folder(self.cache.root)
        log.info("fetching %d files from the remote", len(lacking))
        try:
            self.repo.cloud.pull({HashInfo("md5", md5) for md5 in lacking})
        except OSError as error:
            raise UnreachableError(f"fetching from the remote: {error}") from error
        if damaged := self.lacking(md5s):
            self.cache.drop(damaged)
            self.damaged |= damaged
            raise DamagedError(f"the remote has damaged objects: {', '.join(sorted(damaged))}")
