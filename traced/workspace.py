"""One workspace: its digests, its cache, its traces and its remote. The scheduler and every job use it alike."""

import hashlib
import os
import shutil
import time
import uuid
from pathlib import Path

from traced.cache import Cache, dvc_settings, remove
from traced.digest import Content, Digests, places_of
from traced.files import NOTES, flush
from traced.remote import Remote
from traced.step import Step
from traced.store import LOCK_FILE, Entry, Run, Store, hash_of, key_of, new_entry, outs_of

DVC = Path(".dvc")
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux's name for the time since the machine was started."""
PROCESS = uuid.uuid4().hex[:8]


class Workspace:
    """The current folder. It stays as it is until something is recorded or restored."""

    def __init__(self) -> None:
        self.digests = Digests(NOTES)
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
            self.cache.get(path, content)
        return kept

    def set_aside(self, disk: dict[str, Content | None]) -> list[str]:
        """Rename what no trace and no cache knows, since somebody made it by hand. Return the new names."""
        kept = []
        for path, content in disk.items():
            # What is there and cannot be read, such as a folder with a link that leads nowhere, is nobody's but theirs.
            if os.path.lexists(path) and not (content and self.known(path, content)):
                name = f"{path}.edited-{time.strftime('%Y%m%d-%H%M%S')}"
                while os.path.lexists(name):
                    name += "+"
                if Path(path).is_file() and Path(path).is_symlink():  # into the cache, whose object will be replaced
                    shutil.copyfile(path, name)
                    Path(path).unlink()
                else:
                    Path(path).rename(name)
                kept.append(name)
        return kept

    def known(self, path: str, content: Content) -> bool:
        """Tell whether what is on disk came from a step. If so, it can be made again and need not be kept."""
        if self.cache.holds(content.md5):
            return True
        return any(path in outs and same(outs[path], content) for outs in map(outs_of, self.store.locked.values()))

    def finish(self, step: Step, before: Entry) -> None:
        """Give what a step wrote the names of finished work, which stand until it is stored.

        RuntimeError if something that it read has changed meanwhile, or if it did not write all of its outs.
        """
        now = self.entry_of(step, self.digests.of_all(step.deps))
        if key_of(now) != key_of(before):
            old = {dep["path"]: dep["md5"] for dep in before["deps"]}
            changed = [dep["path"] for dep in now["deps"] if old[dep["path"]] != dep["md5"]]
            raise RuntimeError(f"{', '.join(changed)} changed while the step was running: its result is not kept")
        if missing := [path for path in step.outs if not Path(path).exists()]:
            raise RuntimeError(f"the step ended without writing {', '.join(missing)}")
        if unreadable := [path for path in step.outs if self.digests.examine_path(path) is None]:
            raise RuntimeError(f"{', '.join(unreadable)} cannot be stored: a link in it leads nowhere")
        # At once: whatever takes long, such as hashing, can be stopped, and what has no such name is lost then.
        for path in step.outs:
            ended = ended_name(path, key_of(before))
            remove(ended)
            Path(path).rename(ended)

    def is_finished(self, step: Step, before: Entry) -> bool:
        """Tell whether an earlier run was stopped after the step had ended, and before its trace was stored."""
        key = key_of(before)
        return all(finished_name(path, key).exists() or ended_name(path, key).exists() for path in step.outs)

    def settle(self, step: Step, before: Entry) -> None:
        """See to it that what has ended survives a power cut, and let its name say so."""
        for path in step.outs:
            ended, finished = (name(path, key_of(before)) for name in (ended_name, finished_name))
            if ended.exists():
                for place in (places_of(str(ended)) or {}).values():
                    flush(place)
                remove(finished)
                ended.rename(finished)

    def record(self, step: Step, before: Entry, seconds: float | None = None, peak_bytes: int | None = None) -> None:
        """Store what a step has finished, then its trace. Then put it in its place. `seconds` is what it took.

        It can be stopped at any moment and called again. RuntimeError if a file changes meanwhile.
        """
        self.settle(step, before)
        finished = {path: str(finished_name(path, key_of(before))) for path in step.outs}
        found = self.digests.of_all(finished.values())
        outs = {path: content for path, name in finished.items() if (content := found[name])}
        for path, content in outs.items():
            self.cache.put(finished[path], content.md5)
        entry = {**before, "outs": [content.entry(path) for path, content in outs.items()]}
        self.store.save(entry, kept_here=bool(step.kept_here))
        self.store.note_run(key_of(before), Run(hash_of(entry), time.time(), uuid.uuid4().hex, seconds, peak_bytes))
        self.clean(step)
        for path, content in outs.items():
            self.cache.relink(content.md5)
            self.cache.get(path, content)

    def clean(self, step: Step) -> None:
        """Remove what no run will go on from: finished work that is stored or outdated, and the step's own notes."""
        for path in map(Path, step.outs):
            beside = path.parent.iterdir() if path.parent.is_dir() else ()
            for finished in [one for one in beside if one.name.startswith(finished_prefix(path))]:
                remove(finished)
        remove(scratch_of(step))

    def discard(self, step: Step) -> None:
        """Remove what a step that failed may have written."""
        for path in step.outs:
            remove(Path(path))


def finished_prefix(path: Path) -> str:
    """Return how the names of finished work begin that is to become `path`. They stand beside it."""
    name = path.name if len(os.fsencode(path.name)) < 200 else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return f".{name}.finished-"


def finished_name(path: str, key: str) -> Path:
    """Return the name of finished work that is not stored yet. Its key tells what it was made from."""
    return Path(path).with_name(f"{finished_prefix(Path(path))}{key[:32]}")


def ended_name(path: str, key: str) -> Path:
    """Return the name of finished work that only the memory of the machine may hold: it is none after a restart."""
    return Path(path).with_name(f"{finished_name(path, key).name}-{since_the_start()}")


def since_the_start() -> str:
    """Return a name for the time since the machine was started. Where nobody tells it, it is that of this process."""
    try:
        return BOOT.read_text(encoding="ascii")[:8]
    except OSError:
        return PROCESS


def scratch_of(step: Step) -> Path:
    """Return the folder of what a killed run of a step may go on from. Each key has a folder of its own in it."""
    return NOTES / "scratch" / step.name


def same(one: Content | None, other: Content) -> bool:
    """Tell whether two contents are the same bytes."""
    return one is not None and one.md5 == other.md5
