"""A real sshd on loopback, with a key of its own, for as long as a test needs it."""

import getpass
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path


def why_not():
    """Why no sshd can be started here, or None."""
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
        return "no sshd: on Debian, `apt-get install openssh-server`"
    return None


@contextmanager
def server(folder: Path):
    """Yield (port, private key) of a server that lets this user in with that key only."""
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/pid\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\n"
        f"PermitRootLogin prohibit-password\nAllowUsers {getpass.getuser()}\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd keeps what it gives up its rights in
    command = [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"), "-D", "-f", folder / "sshd_config", "-E"]
    daemon = subprocess.Popen([*command, folder / "log"])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, folder / "user"
    finally:
        daemon.terminate()
        daemon.wait()
