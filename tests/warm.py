"""`polypatch`, and Python, in processes that begin with everything imported: each is forked from one that waits.

A page of documentation has dozens of commands, and nearly all their time is that of imports. `warm_bin` gives a folder
for the front of PATH; a command in it hands its words, folder, environment and streams over a socket.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({place!r})
    asked = json.dumps([{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(line, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(asked)
    sys.exit(int(line.recv(9) or 137))
"""


@contextlib.contextmanager
def warm_bin(folder: Path, environment: dict[str, str]):
    """A folder with `polypatch` and `warm-python`, which takes ``-c CODE`` and has every warning an error."""
    place = folder / "line"
    for name in ("polypatch", "warm-python"):
        command = folder / name
        command.write_text(CLIENT.format(python=sys.executable, place=str(place), name=name), encoding="utf-8")
        command.chmod(0o755)
    server = subprocess.Popen([sys.executable, __file__, str(place)], env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        yield folder
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serve(place: str) -> None:
    """Fork for everybody who connects."""
    import polypatch.testing  # noqa: F401
    from polypatch.cli import app  # noqa: F401
    from polypatch.runs import record  # noqa: F401

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(place)
        door.listen()
        os.write(1, b"ready\n")
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                answer(line)
            line.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def answer(line: socket.socket) -> None:
    """Be the process that was asked for, and say how it ended."""
    size, streams, *_ = socket.recv_fds(line, 4, 3)
    with line.makefile("rb") as file:
        name, words, folder, environment = json.loads(file.read(int.from_bytes(size, "big")))
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = ended(name, words)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    line.sendall(str(code).encode())
    os._exit(0)


def ended(name: str, words: list[str]) -> int:
    """The exit code."""
    sys.argv = [name, *words]
    try:
        if name == "polypatch":
            from polypatch.cli import main

            main(words)
        else:
            warnings.simplefilter("error")
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
