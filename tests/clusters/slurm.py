"""A real Slurm of one node on loopback, with a made-up GPU; everything that it starts ends with it."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

# Snakemake takes Slurm's variables out of the environment of what it submits, so only this place is left.
INSTALLED = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """
ClusterName=ingot
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
MinJobAge=7200
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


def find(program):
    """The path of a program, also where an ordinary user's PATH does not lead."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def why_not():
    """Why no Slurm can be started here, or None."""
    if missing := [program for program in PROGRAMS if not find(program)]:
        return f"no {', '.join(missing)}: on Debian, `apt-get install slurm-wlm munge`"
    if os.geteuid():
        return "slurmctld and slurmd of a test run as root only"
    if INSTALLED.exists():
        return f"{INSTALLED} is there: a Slurm of yours is left alone"
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready, what, seconds=60):
    for _ in range(seconds * 5):
        if ready():
            return
        time.sleep(0.2)
    raise RuntimeError(f"{what} did not start within {seconds} s")


@contextmanager
def cluster(folder: Path):
    """Yield the environment variables with which sbatch and its family find a cluster that lives in `folder`."""
    host = socket.gethostname().split(".")[0]
    (folder / "state").mkdir(parents=True)
    (folder / "spool").mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 500
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=host, folder=folder, port=free_port(), other_port=free_port(), cpus=os.cpu_count(), memory=memory
        )
    )
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    daemons = []

    def start(program, *arguments):
        log = open(folder / f"{program}.out", "w")
        command = [find(program), *arguments]
        daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def answer(*command):
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    INSTALLED.unlink(missing_ok=True)  # a link that a killed test has left
    INSTALLED.symlink_to(folder / "slurm.conf")
    try:
        start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        wait_until((folder / "munge.socket").exists, "munged")
        start("slurmctld", "-D", "-f", folder / "slurm.conf")
        start("slurmd", "-D", "-f", folder / "slurm.conf", "-N", host)
        wait_until(lambda: "idle" in answer("sinfo", "--noheader", "--format=%T"), "Slurm")
        yield environment
    finally:
        INSTALLED.unlink()
        if len(daemons) > 1:
            answer("scancel", "--user=root")
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


if __name__ == "__main__":
    import tempfile

    with cluster(Path(tempfile.mkdtemp()) / "slurm") as variables:
        print(variables["SLURM_CONF"])
        sys.exit(subprocess.call(sys.argv[1:], env=variables))
