"""The bytes. DVC's cache holds one object per content. This module stores objects, and makes files of them again."""

import configparser
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traced.digest import Digests, Stamp, digest_of, listing, place, stamp, write_whole

FICLONE = 0x40049409  # Linux: share the blocks of a file (ioctl_ficlone(2))
PROTECTED = 0o444  # DVC's mode for an object that is known to be whole


def dvc_settings(folder: Path) -> dict[str, str]:
    """Read DVC's configuration as {"section.key": value}: of the system, the user, the project and the clone."""
    home = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    files = [Path("/etc/xdg/dvc/config"), home / "dvc/config", folder / "config", folder / "config.local"]
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(file)
        for section in parser.sections():
            settings |= {f"{section}.{key}": value.strip("\"'") for key, value in parser[section].items()}
    return settings


def reflink(source: Path, target: Path) -> None:
    """Make `target` share the blocks of `source`. OSError if the file system cannot do that."""
    with open(source, "rb") as old, open(target, "wb") as new:
        fcntl.ioctl(new.fileno(), FICLONE, old.fileno())


LINKS: dict[str, Callable[[Path, Path], Any]] = {
    "reflink": reflink,
    "hardlink": os.link,
    "symlink": lambda source, target: target.symlink_to(source.absolute()),
    "copy": shutil.copyfile,
}


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. What a link points to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Cache:
    """The objects of one cache: the folder `cache.dir` of DVC's configuration, else .dvc/cache.

    `cache.type` says how files and objects share their bytes. Unless it is set, it is `reflink,copy`, as in DVC.
    """

    def __init__(self, folder: Path, digests: Digests) -> None:
        settings = dvc_settings(folder)
        self.root = folder / settings.get("cache.dir", "cache")
        self.types = [name.strip() for name in settings.get("cache.type", "reflink,copy").split(",")]
        self.digests = digests

    def object(self, md5: str) -> Path:
        """Return where the object of a digest belongs, whether it is there or not."""
        return self.root / "files" / "md5" / md5[:2] / md5[2:]

    def files(self, md5: str) -> dict[str, str] | None:
        """List what a digest stands for: {relative path: md5} for a folder, {"": md5} for a file.

        None if the list of a folder is not here.
        """
        if not md5.endswith(".dir"):
            return {"": md5}
        try:
            return {row["relpath"]: row["md5"] for row in json.loads(self.object(md5).read_bytes())}
        except (OSError, ValueError):
            return None

    def holds(self, md5: str) -> bool:
        """Tell whether the cache has all bytes of a file or folder."""
        files = self.files(md5)
        return files is not None and all(self.intact(one) for one in set(files.values()))

    def intact(self, md5: str) -> bool:
        """Tell whether an object is here and is what its name says.

        A protected object is: it was complete before it got its name. If the workspace links to it, somebody may have
        written through the link. Such an object is read again if it has changed since it was last read.
        """
        path = self.object(md5)
        try:
            found = path.stat()
        except OSError:
            return False
        if found.st_nlink == 1 and found.st_mode & 0o777 == PROTECTED and "symlink" not in self.types:
            return True
        content = self.digests.of(str(path))
        return content is not None and content.md5 == md5

    def link(self, source: Path, target: Path, types: list[str]) -> None:
        """Give the bytes of `source` a second place, by the first of `types` that works there."""
        for index, name in enumerate(types):
            try:
                LINKS[name](source, target)
                return
            except OSError:
                target.unlink(missing_ok=True)
                if index == len(types) - 1:
                    raise

    def put(self, path: str, md5: str) -> None:
        """Store the bytes of a file or folder whose digest has just been taken.

        RuntimeError if they have changed since.
        """
        known = self.digests.recall(path)
        files = {name: digest for name, (_, digest) in known.items()}
        if digest_of(files) != md5:
            raise RuntimeError(f"{path}: its digest cannot be kept in {self.digests.folder}; is that folder writable?")
        for name, (seen, digest) in known.items():
            self.put_file(Path(place(path, name)), digest, seen)
        if md5.endswith(".dir"):
            write_whole(self.object(md5), listing(files))
            self.object(md5).chmod(PROTECTED)
        if {"hardlink", "symlink"} & set(self.types):
            self.digests.note(path, files)  # linking has changed the times

    def put_file(self, path: Path, md5: str, seen: Stamp) -> None:
        """Store one file, unless its object is here already. With links, the file becomes a link to the object.

        RuntimeError if the file no longer has the stamp `seen`, which it had when its digest was taken.
        """
        target = self.object(md5)
        links = [name for name in self.types if name != "symlink"] or ["hardlink", "copy"]
        if not self.intact(md5):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
            self.link(path, partial, [*links, "copy"])
            mtime, _, size, inode = stamp(path)  # not the time of change, which linking itself changes
            if (mtime, size, inode) != (seen[0], seen[2], seen[3]):
                partial.unlink()
                raise RuntimeError(f"{path} was changed while it was being stored")
            partial.chmod(PROTECTED)
            partial.rename(target)
        linked = {"hardlink": path.samefile(target), "symlink": path.is_symlink()}
        if not linked.get(self.types[0], True):
            self.get_file(md5, path)

    def get_file(self, md5: str, path: Path) -> None:
        """Put one object into the workspace, as a whole or not at all."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        self.link(self.object(md5), partial, [*self.types, "copy"])
        if not partial.is_symlink() and partial.stat().st_nlink == 1:
            umask = os.umask(0)
            os.umask(umask)
            partial.chmod(0o666 & ~umask)
        partial.rename(path)

    def get(self, path: str, md5: str) -> None:
        """Replace what the workspace has at a path by the file or folder of a digest, as a whole or not at all."""
        files = self.files(md5)
        if files is None:
            raise FileNotFoundError(f"{self.object(md5)}: no such object")
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if "" in files:
            if target.is_dir() and not target.is_symlink():
                remove(target)
            self.get_file(md5, target)
        else:
            partial = target.with_name(f".{target.name}.restored")
            remove(partial)
            for name, digest in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                self.get_file(digest, partial / name)
            partial.mkdir(exist_ok=True)
            remove(target)
            partial.rename(target)
        self.digests.note(path, files)
