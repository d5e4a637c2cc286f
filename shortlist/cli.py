"""`shortlist`: one command per thing a researcher does, each a thin skin over one public function.

Results go to stdout, progress and errors to stderr. Exit status 0: done; 1: a check failed; 2: bad input, told in one
line, with nothing overwritten; 70: a defect of ours. SHORTLIST_TRACEBACK=1 shows where an input error was found.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import traceback
import warnings
from typing import Annotated

# Ctrl-C while everything is imported ends the process at once: there is nothing to say yet, and a traceback, or an
# exception lost inside an import, would be all that came of it.
_before = signal.getsignal(signal.SIGINT)
_quick = _before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
if _quick:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer  # noqa: E402

from shortlist import (  # noqa: E402
    _compare_command,
    _curve_commands,
    _limits_command,
    _list_commands,
    _meta_commands,
    _meta_evaluate_command,
    _optimizer_commands,
    _pack_commands,
    _package_commands,
    _reproduce_commands,
    _run_commands,
    _service_command,
    _speedup_commands,
    _training_commands,
    _validate_commands,
    _weights_command,
    _worker_command,
    _workers_command,
    _workload_commands,
)
from shortlist._errors import flush_results, say, told, wants_traceback  # noqa: E402
from shortlist._interrupt import Interrupted  # noqa: E402

if _quick:
    signal.signal(signal.SIGINT, _before)

DEFECT = 70  # EX_SOFTWARE of sysexits.h

app = typer.Typer(
    name="shortlist",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"shortlist {version('shortlist')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Hyperparameter lists that generalise: tune, build lists, prove them, report, package for AlgoPerf."""


_workload_commands.add_to(app)
_optimizer_commands.add_to(app)
_weights_command.add_to(app)
_training_commands.add_to(app)
_meta_commands.add_to(app)
_meta_evaluate_command.add_to(app)
_service_command.add_to(app)
_worker_command.add_to(app)
_workers_command.add_to(app)
_reproduce_commands.add_to(app)
_run_commands.add_to(app)
_list_commands.add_to(app)
_compare_command.add_to(app)
_curve_commands.add_to(app)
_speedup_commands.add_to(app)
_limits_command.add_to(app)
_package_commands.add_to(app)
_pack_commands.add_to(app)
_validate_commands.add_to(app)


def main() -> None:
    """Runs the command line and turns bad input into one line and exit status 2."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries, about themselves; python -W shows them
        logging.getLogger("matplotlib").setLevel(
            logging.ERROR
        )  # says the same of a home that cannot be written
    try:
        try:
            app()
        finally:
            flush_results()  # here, where a full disk is told as such
            if _quick:  # there is nothing more to say: libraries clean up, which no traceback shall interrupt
                signal.signal(signal.SIGINT, signal.SIG_DFL)
    except Exception as error:
        if wants_traceback():
            raise
        message = told(error)
        if message is None:
            traceback.print_exception(error)
            say("this is a defect of Shortlist; please report it with the lines above")
            sys.exit(DEFECT)
        say(message)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, Interrupted) or (
            isinstance(end, SystemExit) and end.code != 130
        ):  # Typer's for Ctrl-C
            raise
        print("shortlist: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
