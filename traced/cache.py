"""The bytes. DVC's cache holds one object per content. This module stores objects, and makes files of them again.

An object is used only if it is what its name says. It is read for that once on each machine, and again whenever its
size, times or inode have changed.
"""

import configparser
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from traced.digest import (
    Content,
    Digests,
    Stamp,
    but_for_ctime,
    digest_of,
    listing,
    places_of,
    stamp,
)
from traced.files import flush, partial_name, write_whole

FICLONE = 0x40049409  # Linux: share the blocks of a file (ioctl_ficlone(2))
PROTECTED = 0o444  # DVC's mode for an object that is known to be whole
SHARED_FOLDER = 0o2775  # DVC's mode for the folders of a cache with `cache.shared`
DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")


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


def is_inside(name: str) -> bool:
    """Tell whether a relative path stays in its folder."""
    path = PurePosixPath(name)
    return bool(name) and "\0" not in name and not path.is_absolute() and ".." not in path.parts


def read_listing(text: bytes, md5: str) -> dict[str, str] | None:
    """Read DVC's list of a folder as {relative path: md5}.

    None if it is not what its digest says, or if it names a file outside its folder: it may come from a remote.
    """
    if hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir" != md5:
        return None
    try:
        files = {row["relpath"]: row["md5"] for row in json.loads(text)}
        sound = all(is_inside(name) and DIGEST.fullmatch(digest) for name, digest in files.items())
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return files if sound else None


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. What a link points to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Cache:
    """The objects of one cache: the folder `cache.dir` of DVC's configuration, else .dvc/cache.

    `cache.type` says how files and objects share their bytes. Unless it is set, it is `reflink,copy`, as in DVC. With
    `cache.shared`, everybody of the group may add to the cache.
    """

    def __init__(self, folder: Path, digests: Digests) -> None:
        settings = dvc_settings(folder)
        self.root = folder / settings.get("cache.dir", "cache")
        self.types = [name.strip() for name in settings.get("cache.type", "reflink,copy").split(",")]
        self.shared = "cache.shared" in settings
        self.digests = digests

    def object(self, md5: str) -> Path:
        """Return where the object of a digest belongs, whether it is there or not."""
        return self.root / "files" / "md5" / md5[:2] / md5[2:]

    def make_folder(self, folder: Path) -> None:
        """Make a folder of the cache. With `cache.shared`, its group may write there."""
        if not folder.is_dir():
            self.make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            if self.shared:
                folder.chmod(SHARED_FOLDER)

    def make_room(self, place: Path) -> None:
        """Make the folder of an object. A folder that stands in the place of the object itself is removed."""
        self.make_folder(place.parent)
        if place.is_dir():
            remove(place)

    def files(self, md5: str) -> dict[str, str] | None:
        """List what a digest stands for: {relative path: md5} for a folder, {"": md5} for a file.

        None if the list of a folder is not here, or is not what its digest says.
        """
        if not md5.endswith(".dir"):
            return {"": md5}
        try:
            return read_listing(self.object(md5).read_bytes(), md5)
        except OSError:
            return None

    def put_listing(self, text: bytes, md5: str) -> None:
        """Store the list of a folder."""
        self.make_room(self.object(md5))
        write_whole(self.object(md5), text, durable=True)
        self.object(md5).chmod(PROTECTED)

    def objects(self, md5: str) -> dict[str, str]:
        """Return {md5: where its object is} of all objects of a file or folder that are here, whole or not."""
        wanted = set((self.files(md5) or {}).values())
        return {one: str(self.object(one)) for one in wanted if self.object(one).is_file()}

    def lacking(self, md5: str) -> set[str]:
        """Return the objects that a file or folder needs, and that are not here or not what their names say."""
        files = self.files(md5)
        if files is None:
            return {md5}
        try:
            found = self.digests.of_files(md5, self.objects(md5))
        except FileNotFoundError:  # it was removed at this moment
            return set(files.values())
        return {one for one in files.values() if found.get(one) != one}

    def holds(self, md5: str) -> bool:
        """Tell whether the cache has all bytes of a file or folder."""
        return not self.lacking(md5)

    def drop(self, md5s: Iterable[str]) -> None:
        """Remove objects that are not what their names say. DVC would take them for whole, since their mode says so."""
        for md5 in md5s:
            remove(self.object(md5))

    def relink(self, md5: str) -> None:
        """Remember that objects are as they were: making or removing a link has changed one of their times."""
        self.digests.carry_over(md5, self.objects(md5))

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
        """Store the bytes of a file or folder whose digest has just been taken. The caller removes it afterwards.

        Until then both may be one file with two names. RuntimeError if the bytes have changed since.
        """
        known = self.digests.recall(path)
        files = {name: digest for name, (_, digest) in known.items()}
        if digest_of(files) != md5:
            raise RuntimeError(f"{path}: its digest cannot be kept in {self.digests.folder}; is that folder writable?")
        if md5.endswith(".dir") and self.files(md5) is None:
            self.put_listing(listing(files), md5)
        lacking, places = self.lacking(md5), places_of(path) or {}
        for name, (seen, digest) in known.items():
            if digest in lacking:
                # Where the file is if no link on the way leads out of the output.
                own = Path(path).absolute().parent.resolve() / Path(path).name / name
                self.put_file(Path(places[name]), digest, seen, own)
                lacking.discard(digest)
        objects = self.objects(md5)
        self.digests.note(md5, objects, {one: one for one in objects})

    def put_file(self, path: Path, md5: str, seen: Stamp, own: Path) -> None:
        """Store one file. It is given a second name only if it is at its `own` place, and nobody else's.

        RuntimeError if it no longer has the stamp that it had when its digest was taken.
        """
        target = self.object(md5)
        self.make_room(target)
        partial = partial_name(target)
        # A second name costs nothing. But a file that has other names could be written to under one of them.
        alone = not path.is_symlink() and path.stat().st_nlink == 1 and path.resolve() == own
        try:
            self.link(path, partial, ["hardlink", "reflink", "copy"] if alone else ["reflink", "copy"])
            flush(partial)
            if but_for_ctime(stamp(path)) != but_for_ctime(seen):
                raise RuntimeError(f"{path} was changed while it was being stored")
            partial.chmod(PROTECTED)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
        flush(target.parent)

    def get_file(self, md5: str, path: Path, executable: bool) -> None:
        """Put one object into the workspace, as a whole or not at all."""
        partial = partial_name(path)
        try:
            self.link(self.object(md5), partial, [*self.types, "copy"])
            if not partial.is_symlink() and partial.stat().st_nlink == 1:
                umask = os.umask(0)
                os.umask(umask)
                partial.chmod((0o777 if executable else 0o666) & ~umask)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)

    def get(self, path: str, content: Content) -> None:
        """Replace what the workspace has at a path by a file or folder, as a whole or not at all.

        FileNotFoundError if the cache does not have all of its bytes.
        """
        md5 = content.md5
        files = self.files(md5)
        if files is None or self.lacking(md5):
            raise FileNotFoundError(errno.ENOENT, "the cache does not have all of its bytes", path)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if "" in files:
            if target.is_dir() and not target.is_symlink():
                remove(target)
            self.get_file(md5, target, content.executable)
        else:
            partial = target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:16]}.restored")
            remove(partial)
            for name, digest in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                self.get_file(digest, partial / name, executable=False)
            partial.mkdir(exist_ok=True)
            remove(target)
            partial.rename(target)
        self.relink(md5)
        self.digests.note(path, places_of(path) or {}, files)
