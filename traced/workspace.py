"""One workspace: its digests, its cache, its traces and its remote. The scheduler and every job use it alike."""

import os
import time
from pathlib import Path

from traced.cache import Cache, dvc_settings, remove
from traced.digest import Content, Digests
from traced.remote import Remote
from traced.step import Step
from traced.store import LOCK_FILE, Entry, Store, key_of, new_entry, outs_of

DVC = Path(".dvc")


class Workspace:
    """The current folder. It stays as it is until something is recorded or restored."""

    def __init__(self) -> None:
        self.digests = Digests(DVC / "tmp/traced")
        self.cache = Cache(DVC, self.digests)
        self.store = Store(self.cache, Path(LOCK_FILE))
        self.remote = Remote(dvc_settings(DVC), self.cache)

    def entry_of(self, step: Step, contents: dict[str, Content | None]) -> Entry:
        """Make the entry of a step without the digests of its outs. FileNotFoundError if an input is missing."""
        found = {path: content for path in step.deps if (content := contents[path])}
        if missing := [path for path in step.deps if path not in found]:
            raise FileNotFoundError(f"{missing[0]}: no such file or folder, and step {step.name} reads it")
        return new_entry(step, found)

    def lookup(self, key: str) -> list[Entry]:
        """List the traces of a key: those that are here, else those of the remote."""
        return self.store.lookup(key) or self.remote.lookup(key)

    def available(self, entry: Entry) -> bool:
        """Tell whether the bytes of all outs of a trace are here or on the remote. Only folder lists are fetched."""
        lacking = [content.md5 for content in outs_of(entry).values() if not self.cache.holds(content.md5)]
        return not lacking or self.remote.holds(lacking)

    def restore(self, entry: Entry) -> list[str]:
        """Put the outs of a trace on disk. Return the names under which files edited by hand are kept."""
        wanted = outs_of(entry)
        disk = self.digests.of_all(wanted)
        differing = {path: content for path, content in wanted.items() if not same(disk[path], content)}
        if lacking := [content.md5 for content in differing.values() if not self.cache.holds(content.md5)]:
            self.remote.fetch(lacking)
        kept = self.set_aside({path: disk[path] for path in differing})
        for path, content in differing.items():
            self.cache.get(path, content.md5)
        return kept

    def set_aside(self, disk: dict[str, Content | None]) -> list[str]:
        """Rename what no trace and no cache knows, since somebody made it by hand. Return the new names."""
        kept = []
        for path, content in disk.items():
            if content and not self.known(path, content):
                name = f"{path}.edited-{time.strftime('%Y%m%d-%H%M%S')}"
                while os.path.lexists(name):
                    name += "+"
                Path(path).rename(name)
                kept.append(name)
        return kept

    def known(self, path: str, content: Content) -> bool:
        """Tell whether what is on disk came from a step. If so, it can be made again and need not be kept."""
        if self.cache.object(content.md5).exists():
            return True
        return any(path in outs and same(outs[path], content) for outs in map(outs_of, self.store.locked.values()))

    def record(self, step: Step, before: Entry) -> None:
        """Store what a step wrote, then its trace. RuntimeError if something that it read has changed meanwhile."""
        contents = self.digests.of_all(step.deps)
        now = self.entry_of(step, contents)
        if key_of(now) != key_of(before):
            old = {dep["path"]: dep["md5"] for dep in before["deps"]}
            changed = [dep["path"] for dep in now["deps"] if old[dep["path"]] != dep["md5"]]
            raise RuntimeError(f"{', '.join(changed)} changed while the step was running: its result is not kept")
        outs = {path: content for path, content in self.digests.of_all(step.outs).items() if content}
        if missing := [path for path in step.outs if path not in outs]:
            raise RuntimeError(f"the step ended without writing {', '.join(missing)}")
        for path, content in outs.items():
            self.cache.put(path, content.md5)
        self.store.save(new_entry(step, {path: content for path, content in contents.items() if content}, outs))

    def discard(self, step: Step) -> None:
        """Remove what a step that failed may have written."""
        for path in step.outs:
            remove(Path(path))


def same(one: Content | None, other: Content) -> bool:
    """Tell whether two contents are the same bytes."""
    return one is not None and one.md5 == other.md5
