"""The commands and their options; what they do is in ``run`` and ``demo``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from async_s3copy import __version__
from async_s3copy.cli import PROGRAM
from async_s3copy.cli.checkpoint_file import CheckpointFile
from async_s3copy.cli.run import EXIT_USAGE, execute, print_error
from async_s3copy.cli.views import make_view
from async_s3copy.errors import S3CopyError, ValidationError
from async_s3copy.model import S3Location
from async_s3copy.options import ClientChoice, CopyOptions
from async_s3copy.rules import MAX_BATCH_SIZE, check_rate

if TYPE_CHECKING:
    from async_s3copy.s3.account import Account

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 all copied (or nothing matched); 1 some objects failed; 2 bad usage, or found "
    "wrong before anything was written (missing bucket or key, access denied, no credentials); "
    "130 interrupted by Ctrl-C; 143 stopped by SIGTERM. Both signals abort open uploads and print "
    "what was done; a second one stops at once."
)

_METHODS: Final = ("auto", "server-side", "relay")
_CLIENTS: Final = get_args(ClientChoice)
_DEFAULTS: Final = CopyOptions()

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


@app.command(epilog=EXIT_CODES_HELP)
def cp(  # noqa: PLR0917 - the parameters are the options
    source: Annotated[str, typer.Argument(metavar="SRC", help="s3://bucket/key or prefix.")],
    destination: Annotated[str, typer.Argument(metavar="DST", help="s3://bucket/key or prefix.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Copy every key that starts with SRC's key.")
    ] = False,
    source_profile: Annotated[
        str | None, typer.Option(help="AWS profile that lists and reads SRC.")
    ] = None,
    dest_profile: Annotated[str | None, typer.Option(help="AWS profile that writes DST.")] = None,
    source_endpoint_url: Annotated[
        str | None, typer.Option(help="URL of SRC's S3-compatible server.")
    ] = None,
    dest_endpoint_url: Annotated[
        str | None, typer.Option(help="URL of DST's S3-compatible server.")
    ] = None,
    source_region: Annotated[str | None, typer.Option(help="Region of SRC's bucket.")] = None,
    dest_region: Annotated[str | None, typer.Option(help="Region of DST's bucket.")] = None,
    source_role_arn: Annotated[
        str | None, typer.Option(help="Role to assume for reading SRC.")
    ] = None,
    dest_role_arn: Annotated[
        str | None, typer.Option(help="Role to assume for writing DST.")
    ] = None,
    no_overwrite: Annotated[
        bool, typer.Option("--no-overwrite", help="Skip keys that exist at DST.")
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            metavar="|".join(_METHODS),
            help="server-side copies inside S3 (DST's credentials must be able to read SRC), relay "
            "moves the bytes through this machine, auto finds out which of the two works.",
        ),
    ] = "auto",
    concurrency: Annotated[
        int, typer.Option(min=1, max=10_000, help="Requests in flight at most.")
    ] = _DEFAULTS.max_concurrent_requests,
    max_rate: Annotated[
        float | None,
        typer.Option(
            "--max-requests-per-second",
            metavar="RATE",
            help="Requests started per second at most; by default S3's limit is found out.",
        ),
    ] = None,
    client: Annotated[
        str,
        typer.Option(
            metavar="|".join(_CLIENTS),
            help="wire is the fast path to S3, boto goes through aiobotocore, auto takes the wire "
            "where the configuration allows it.",
        ),
    ] = "auto",
    batch_size: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH_SIZE, help="Objects handed over together.")
    ] = 100,
    start_after: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Copy only keys after this one; with --recursive."),
    ] = None,
    up_to: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Copy only keys up to this one; with --recursive."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failed object.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one JSON line per object to FILE."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep in FILE how far the copy is, and go on from there if FILE exists: after an "
            "interruption, a crash or failures, run the same command again. FILE is removed when "
            "everything is copied.",
        ),
    ] = None,
    no_verify_ssl: Annotated[
        bool, typer.Option("--no-verify-ssl", help="Do not check TLS certificates.")
    ] = False,
    ca_bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Check TLS certificates against this CA bundle."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the metrics on stdout as one JSON document.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but a final error.")
    ] = False,
) -> None:
    """Copy one object, or with --recursive every object under a prefix, from S3 to S3.

    Keys are taken as they are: no wildcards, no percent-decoding. The progress and the summary go
    to stderr; stdout stays empty unless --json is given.
    """
    try:
        verify = _verify(no_verify_ssl, ca_bundle)
        source_account = _account(
            "source",
            profile=source_profile,
            endpoint_url=source_endpoint_url,
            region=source_region,
            role_arn=source_role_arn,
            verify=verify,
        )
        dest_account = _account(
            "dest",
            profile=dest_profile,
            endpoint_url=dest_endpoint_url,
            region=dest_region,
            role_arn=dest_role_arn,
            verify=verify,
        )
        read = S3Location.parse(source, name="SRC")
        write = S3Location.parse(destination, name="DST")
        if read.key is None and not recursive:
            raise ValidationError("SRC", source, "name an object unless --recursive is given")
        options = CopyOptions(
            method=_choice("--method", method, _METHODS),
            client=_choice("--client", client, _CLIENTS),
            max_concurrent_requests=concurrency,
            max_requests_per_second=_rate(max_rate),
            fail_fast=fail_fast,
        )
        file = None if checkpoint is None else CheckpointFile(checkpoint)
        earlier = None if file is None else file.open()
    except S3CopyError as error:
        print_error(str(error))
        raise typer.Exit(EXIT_USAGE) from None

    async def copy() -> int:
        from async_s3copy.operation import S3CopyOperation  # noqa: PLC0415 - not for --help

        view = make_view(f"{source} to {destination}", quiet=quiet)
        operation = S3CopyOperation(
            read.bucket,
            read.key,
            write.bucket,
            write.key,
            recursive=recursive,
            batch_size=batch_size,
            overwrite=not no_overwrite,
            source=source_account,
            destination=dest_account,
            options=options,
            observer=view,
            report=report,
            start_after=start_after,
            up_to=up_to,
            resume_from=earlier,
            on_checkpoint=None if file is None else file.save,
        )
        try:
            operation.check_parameters()
        except ValidationError as error:
            print_error(str(_in_options(error, file)))
            return EXIT_USAGE
        return await execute(operation, view, as_json=as_json, quiet=quiet, checkpoint=file)

    raise typer.Exit(asyncio.run(copy()))


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


def _in_options(error: ValidationError, file: CheckpointFile | None) -> ValidationError:
    """Name the option instead of the operation's parameter."""
    if error.name == "resume_from" and file is not None:
        return file.belongs_to(error)
    option = {"start_after": "--start-after", "up_to": "--up-to"}.get(error.name, error.name)
    return ValidationError(option, error.value, error.rule)


def _account(side: str, **settings: Any) -> Account:
    from async_s3copy.s3.account import Account  # noqa: PLC0415 - imported by a copy only

    try:
        return Account(**settings)
    except ValidationError as error:
        option = f"--{side}-{error.name.replace('_', '-')}"
        raise ValidationError(option, error.value, error.rule) from None


def _verify(no_verify_ssl: bool, ca_bundle: Path | None) -> bool | str | None:
    if ca_bundle is None:
        return False if no_verify_ssl else None
    if no_verify_ssl:
        raise ValidationError("--ca-bundle", str(ca_bundle), "not be given with --no-verify-ssl")
    if not ca_bundle.is_file():
        raise ValidationError("--ca-bundle", str(ca_bundle), "be a file")
    return str(ca_bundle)


def _choice(option: str, given: str, choices: tuple[str, ...]) -> Any:
    name = given.lower().replace("_", "-")
    if name not in choices:
        raise ValidationError(option, given, f"be one of {', '.join(choices)}")
    return name.replace("-", "_")


def _rate(given: float | None) -> float | None:
    return None if given is None else check_rate("--max-requests-per-second", given)
