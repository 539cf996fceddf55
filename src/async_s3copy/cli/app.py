"""The commands; what they do is in ``cp`` and ``demo``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from async_s3copy import __version__
from async_s3copy.cli import PROGRAM
from async_s3copy.cli.cp import cp
from async_s3copy.cli.run import EXIT_USAGE, print_error

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 all copied (or nothing matched); 1 some objects failed; 2 bad usage, or found "
    "wrong before anything was written (missing bucket or key, access denied, no credentials); "
    "130 interrupted by Ctrl-C; 143 stopped by SIGTERM. Both signals abort open uploads and print "
    "what was done; a second one stops at once."
)

app = typer.Typer(
    name=PROGRAM,
    help="Copy objects from S3 to S3, also between accounts that cannot see each other.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show credentials.
    pretty_exceptions_enable=False,
    # Brackets in the help are brackets.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit code.
    """
    # Notices reach the user through the views; without a handler Python would print them again.
    logging.getLogger("async_s3copy").addHandler(logging.NullHandler())
    try:
        code: object = app(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _usage_error(error)
    return code if isinstance(code, int) else 0


def _usage_error(error: Any) -> int:
    """Report what the argument parser refused.

    Recognised by shape: Typer carries its own copy of Click or not, depending on its version.
    """
    message = error.format_message()
    if not message or type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return EXIT_USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROGRAM
    print_error(f"{message.rstrip('.')} (see '{path} --help')")
    return EXIT_USAGE


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


app.command(epilog=EXIT_CODES_HELP)(cp)


@app.command()
def demo(
    objects: Annotated[int, typer.Option(min=50, max=100_000, help="Objects to seed.")] = 2_500,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Start and seed the server, then wait: try the library against it."
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the metrics of both copies on stdout as one document."),
    ] = False,
) -> None:
    """Show a copy between two accounts on a local S3 server, and verify every object.

    Needs the extra async-s3copy[demo]. Exits with 0 only if every object was verified.
    """
    from async_s3copy.cli.demo import run_demo  # noqa: PLC0415 - needs the extra demo

    raise typer.Exit(run_demo(objects=objects, serve=serve, as_json=as_json))
