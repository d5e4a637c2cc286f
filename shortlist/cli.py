"""`shortlist`: one command per thing a researcher does, each a thin skin over one public function.

Results go to stdout, progress and errors to stderr. Exit status 0: done; 1: a check failed; 2: bad input, told in one
line, with nothing overwritten; 70: a defect of ours. SHORTLIST_TRACEBACK=1 shows where an input error was found.
"""

from __future__ import annotations

import sys
import traceback
import warnings

import typer

from shortlist import (
    _curve_commands,
    _list_commands,
    _package_commands,
    _run_commands,
    _training_commands,
    _validate_commands,
    _workload_commands,
)
from shortlist._errors import flush_results, say, told, wants_traceback

DEFECT = 70  # EX_SOFTWARE of sysexits.h

app = typer.Typer(
    name="shortlist",
    help="Hyperparameter lists that generalise: tune, build lists, prove them, report, package for AlgoPerf.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_workload_commands.add_to(app)
_training_commands.add_to(app)
_run_commands.add_to(app)
_list_commands.add_to(app)
_curve_commands.add_to(app)
_package_commands.add_to(app)
_validate_commands.add_to(app)


def main() -> None:
    """Runs the command line and turns bad input into one line and exit status 2."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries, about themselves; python -W shows them
    try:
        try:
            app()
        finally:
            flush_results()  # here, where a full disk is told as such
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
        if isinstance(end, SystemExit) and end.code != 130:  # which Typer makes of Ctrl-C
            raise
        print(
            "shortlist: interrupted; finished cohorts are kept, run the same command to go on",
            file=sys.stderr,
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
