"""Runs a command that dies with its parent: `python -I -S tether.py PARENT_PID SIGNAL USER|- COMMAND...`

The kernel sends SIGNAL when the parent ends, however it ends, so an interrupted demo leaves nothing behind. The file
stands alone: it is run by path, before anything of the project could be imported.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death, user, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    if user != "-":
        import pwd

        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ["HOME"] = "/"
    # After the change of user, which clears the wish.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), death)
    # A terminal's Ctrl-C is the parent's to handle: it stops its children in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
