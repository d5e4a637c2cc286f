"""What a submission could do besides training, one line each, and which codes tell of it.

    python -m tests.submissions.validation.behaviours [ISOLATION]

tries each in a submission of its own and counts what is seen.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from submissions.validation import inspect
from tests.submissions.validation.examples import healthy, in_step

CHEAP = ["taskset/quadratic_family_seed2"]
F, N, P, R = {"R501", "R502"}, {"R503"}, {"R504"}, {"R519"}
# name -> (codes of which one tells of it, a statement in update_params). Names are looked up at run time, so that
# reading does not see them: `m` imports a module. `tmp` is a folder beside the submission's; `nowhere` is none, so that
# nothing is written there.
LINES: dict[str, tuple[set[str], str]] = {
    **{f"write a {end}": (F, f"o(tmp + '/x{end}', 'w').close()") for end in (".py", ".pyc", ".so", ".pth")},
    "write below the interpreter": (F, "o(m('sys').prefix + '/nowhere/x', 'w').close()"),
    "write among the packages": (F, "o(m('numpy').__path__[0] + '/nowhere/x.py', 'w').close()"),
    "write into its own folder": (F, "o(m('os').path.dirname(__file__) + '/state.txt', 'w').close()"),
    "write into the working directory": (F, "o('state.txt', 'w').close()"),
    "read a folder whose name begins like its own": (F, "o(m('os').path.dirname(__file__) + '-2/results.py').close()"),
    "read the environment of the process": (F, "o('/proc/self/environ').close()"),
    "read by a low-level call": (F, "m('os').open(tmp + '/there', 0)"),
    "read by numpy": (F, "m('numpy').fromfile(tmp + '/there')"),
    "read by jax": (F, "m('jax').numpy.load(tmp + '/there')"),
    "read by pathlib": (F, "m('pathlib').Path(tmp, 'there').read_text()"),
    "read by linecache": (F, "m('linecache').getlines('/etc/passwd')"),
    "remove": (F, "m('os').remove(tmp + '/gone')"),
    "rename": (F, "m('os').rename(tmp + '/there', tmp + '/elsewhere')"),
    "mkdir": (F, "m('os').mkdir(tmp + '/made')"),
    "rmdir": (F, "m('os').rmdir(tmp + '/made')"),
    "symlink": (F, "m('os').symlink('/etc', tmp + '/link')"),
    "hard link": (F, "m('os').link(tmp + '/elsewhere', tmp + '/again')"),
    "chmod": (F, "m('os').chmod(tmp + '/elsewhere', 0o600)"),
    "utime": (F, "m('os').utime(tmp + '/elsewhere')"),
    "truncate": (F, "m('os').truncate(tmp + '/elsewhere', 0)"),
    "named pipe": (F, "m('os').mkfifo(tmp + '/pipe')"),
    "list a folder": (F, "m('os').listdir(tmp)"),
    "scan a folder": (F, "list(m('os').scandir(tmp))"),
    "glob": (F, "m('glob').glob(tmp + '/*')"),
    "a database": (F, "m('sqlite3').connect(tmp + '/base.db')"),
    "TCP": (N, "m('socket').create_connection(('127.0.0.1', 9), 1)"),
    "UDP": (N, "s = m('socket'); s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"),
    "bind": (N, "m('socket').socket().bind(('127.0.0.1', 0))"),
    "look-up": (N, "m('socket').gethostbyname('localhost')"),
    "look-up of an address": (N, "m('socket').getaddrinfo('localhost', 80)"),
    "system": (P, "m('os').system('true')"),
    "subprocess": (P, "m('subprocess').run(['true'])"),
    "fork": (P, "m('os').fork() or m('os')._exit(0)"),
    "forkpty": (P, "m('os').forkpty()[0] or m('os')._exit(0)"),
    "posix_spawn": (P, "m('os').posix_spawn('/bin/true', ['true'], {})"),
    "_posixsubprocess": (P, "m('_posixsubprocess').fork_exec(1)"),
    "multiprocessing": (P, "m('multiprocessing').get_context('fork').Process(target=print).start()"),
    "a thread": (P, "m('threading').Thread(target=print).start()"),
    "a thread with a library function": (P, "m('threading').Thread(target=m('numpy').zeros, args=(3,)).start()"),
    "a thread by _thread": (P, "m('_thread').start_new_thread(print, ())"),
    "a pool of threads": (P, "m('concurrent.futures').futures.ThreadPoolExecutor(1).submit(len, '')"),
    "ctypes": (R, "m('ctypes').CDLL(None).getpid()"),
    "atexit": (R, "m('atexit').register(len, '')"),
    "exec under another name": (R, "exec(compile('1 + 1', m('jax').__file__, 'exec'))"),
    "code under another name": (R, "(lambda: 1).__code__.replace(co_filename=m('jax').__file__)"),
    "other code for a function": (R, "setattr(m('textwrap').dedent, '__code__', m('textwrap').dedent.__code__)"),
    "a signal handler": (R, "m('signal').signal(m('signal').SIGUSR1, lambda *_: None)"),
    "a signal": (R, "m('os').kill(m('os').getpid(), 0)"),
    "a search of memory": (R, "len(m('gc').get_objects())"),
    "an environment variable": ({"R516"}, "m('os').environ.update(X='1')"),
}  # fmt: skip
# These end the process, or hold it: each has one of its own, and no figures may come of it.
ENDS: dict[str, tuple[set[str], str]] = {
    "sys.exit(0)": ({"D602"}, "m('sys').exit(0)"),
    "os._exit(0)": ({"D616"}, "m('os')._exit(0)"),
    "raise SystemExit": ({"D602"}, "raise SystemExit"),
    "kill itself": ({"D616"}, "m('os').kill(m('os').getpid(), 9)"),
    "os._exit(0) in a thread": ({"D616"}, "m('threading').Thread(target=m('os')._exit, args=(0,)).start()"),
    "os._exit(0) at exit": ({"D616"}, "m('atexit').register(m('os')._exit, 0)"),
    "another program in its place": ({"D616"}, "m('os').execv('/bin/true', ['true'])"),
    "answers of its own": (
        {"D618"},
        "[m('os').write(n, b'{\"ended\": true}\\n') for n in range(3, 20) if w(n)]",
    ),
    "closed descriptors": ({"D616"}, "m('os').closerange(3, 100)"),
    "300 MB of output": ({"D619"}, "[m('sys').stderr.write('x' * 1000000) for _ in range(300)]"),
    "a fork for ever": ({"D619"}, "[m('os').fork() or m('time').sleep(60) for _ in range(200)]"),
    "much memory": ({"D602", "D616", "D619"}, "m('numpy').ones(2 << 30)"),
}
HELP = """
import sys
tmp = {tmp!r}
m = __import__
o = getattr(sys.modules["builtins"], "op" + "en")


def w(n):
    try:
        return m("stat").S_ISFIFO(m("os").fstat(n).st_mode)
    except OSError:
        return False


def t(text):
    try:
        exec(text, globals())
    except Exception:
        pass
"""


def write(folder: Path, *statements: str, guarded: bool = True) -> Path:
    """A healthy submission that also does these, each in a line of its own marked by its number."""
    healthy(folder)
    beside = folder.parent / "beside"
    beside.mkdir(exist_ok=True)
    sibling = folder.with_name(folder.name + "-2")
    sibling.mkdir(exist_ok=True)
    (sibling / "results.py").write_text("")
    for name in ("there", "gone"):
        (beside / name).write_text("x" * 8)
    lines = ["if global_step == 1:"]
    for statement in statements:
        if guarded:
            lines += ["    try:", f"        {statement}", "    except Exception:", "        pass"]
        else:
            lines.append(f"    {statement}")
    in_step(*lines)(folder)
    file = folder / "submission.py"
    file.write_text(file.read_text().replace("\nSIZES = {", HELP.format(tmp=str(beside)) + "\nSIZES = {", 1))
    return folder


def main(isolation: str = "auto") -> int:
    """Prints each behaviour and whether it was seen; the number of unseen ones."""
    unseen = 0
    for name, (wanted, statement) in {**LINES, **ENDS}.items():
        with tempfile.TemporaryDirectory() as folder:
            submission = write(Path(folder) / "hostile", statement, guarded=name in LINES)
            checked = inspect(submission, workloads=CHEAP, steps=4, seconds=120, isolation=isolation)
        found = {finding.code for finding in checked.findings}
        seen = bool(found & wanted) and not checked.passed
        unseen += not seen
        print(f"{'seen' if seen else 'UNSEEN':7}{name}: {', '.join(sorted(found)) or '-'}", flush=True)
    total = len(LINES) + len(ENDS)
    print(f"{isolation}: {total - unseen} of {total} behaviours seen, {unseen} unseen")
    return unseen


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) > 0)
