"""``cp``: what its options mean, and the copy they ask for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from async_s3copy.cli import fidelity
from async_s3copy.cli.checkpoint_file import CheckpointFile
from async_s3copy.cli.run import EXIT_USAGE, execute, print_error
from async_s3copy.cli.views import make_view
from async_s3copy.errors import S3CopyError, ValidationError
from async_s3copy.model import S3Location
from async_s3copy.options import Archived, ClientChoice, CopyOptions
from async_s3copy.options import Verify as Proofs
from async_s3copy.rules import MAX_BATCH_SIZE, check_rate

if TYPE_CHECKING:
    from async_s3copy.s3.account import Account

_METHODS: Final = ("auto", "server-side", "relay")
_CLIENTS: Final = get_args(ClientChoice)
_DEFAULTS: Final = CopyOptions()
_OPERATION_OPTIONS: Final = (
    "start_after",
    "up_to",
    "version_id",
    "all_versions",
    "pin_versions",
)


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
    version_id: fidelity.VersionId = None,
    all_versions: fidelity.AllVersions = False,
    pin_versions: fidelity.PinVersions = False,
    preserve: fidelity.PreserveOption = None,
    content_type: fidelity.ContentType = None,
    content_encoding: fidelity.ContentEncoding = None,
    content_language: fidelity.ContentLanguage = None,
    content_disposition: fidelity.ContentDisposition = None,
    cache_control: fidelity.CacheControl = None,
    expires: fidelity.Expires = None,
    metadata: fidelity.Metadata = None,
    tag: fidelity.Tag = None,
    storage_class: fidelity.StorageClass = None,
    checksum_algorithm: fidelity.Checksum = None,
    sse: fidelity.Sse = None,
    sse_kms_key_id: fidelity.KmsKeyId = None,
    bucket_key: fidelity.BucketKey = None,
    website_redirect: fidelity.WebsiteRedirect = None,
    lock_mode: fidelity.Lock = None,
    lock_retain_until: fidelity.RetainUntil = None,
    legal_hold: fidelity.LegalHold = None,
    acl: fidelity.Acl = None,
    grant: fidelity.Grant = None,
    verify: fidelity.Verify = "etag",
    archived: fidelity.ArchivedOption = "fail",
    requester_pays: fidelity.RequesterPays = False,
    source_bucket_owner: fidelity.SourceOwner = None,
    dest_bucket_owner: fidelity.DestOwner = None,
    source_customer_key_file: fidelity.SourceKeyFile = None,
    dest_customer_key_file: fidelity.DestKeyFile = None,
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
        trust = _trust(no_verify_ssl, ca_bundle)
        source_account = _account(
            "source",
            profile=source_profile,
            endpoint_url=source_endpoint_url,
            region=source_region,
            role_arn=source_role_arn,
            verify=trust,
            customer_key=fidelity.read_customer_key(
                "--source-customer-key-file", source_customer_key_file
            ),
        )
        dest_account = _account(
            "dest",
            profile=dest_profile,
            endpoint_url=dest_endpoint_url,
            region=dest_region,
            role_arn=dest_role_arn,
            verify=trust,
            customer_key=fidelity.read_customer_key(
                "--dest-customer-key-file", dest_customer_key_file
            ),
        )
        read = S3Location.parse(source, name="SRC")
        write = S3Location.parse(destination, name="DST")
        if read.key is None and not recursive:
            raise ValidationError("SRC", source, "name an object unless --recursive is given")
        overrides = fidelity.read_overrides(
            {
                "content_type": content_type,
                "content_encoding": content_encoding,
                "content_language": content_language,
                "content_disposition": content_disposition,
                "cache_control": cache_control,
                "expires": expires,
                "metadata": metadata,
                "tags": tag,
                "storage_class": storage_class,
                "checksum_algorithm": checksum_algorithm,
                "encryption": sse,
                "kms_key_id": sse_kms_key_id,
                "bucket_key_enabled": bucket_key,
                "website_redirect": website_redirect,
                "lock_mode": lock_mode,
                "lock_retain_until": lock_retain_until,
                "legal_hold": legal_hold,
                "acl": acl,
                "grants": grant,
            }
        )
        options = CopyOptions(
            method=_choice("--method", method, _METHODS),
            client=_choice("--client", client, _CLIENTS),
            max_concurrent_requests=concurrency,
            max_requests_per_second=_rate(max_rate),
            fail_fast=fail_fast,
            preserve=fidelity.read_preserve(preserve),
            overrides=overrides,
            verify=_choice("--verify", verify, get_args(Proofs)),
            archived=_choice("--archived", archived, get_args(Archived)),
            requester_pays=requester_pays,
            source_bucket_owner=fidelity.checked_owner(
                "--source-bucket-owner", source_bucket_owner
            ),
            destination_bucket_owner=fidelity.checked_owner(
                "--dest-bucket-owner", dest_bucket_owner
            ),
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
            version_id=version_id,
            all_versions=all_versions,
            pin_versions=pin_versions,
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


def _in_options(error: ValidationError, file: CheckpointFile | None) -> ValidationError:
    """Name the option instead of the operation's parameter."""
    if error.name == "resume_from" and file is not None:
        return file.belongs_to(error)
    is_option = error.name in _OPERATION_OPTIONS
    option = f"--{error.name.replace('_', '-')}" if is_option else error.name
    return ValidationError(option, error.value, error.rule)


def _account(side: str, **settings: Any) -> Account:
    from async_s3copy.s3.account import Account  # noqa: PLC0415 - imported by a copy only

    try:
        return Account(**settings)
    except ValidationError as error:
        option = f"--{side}-{error.name.replace('_', '-')}"
        raise ValidationError(option, error.value, error.rule) from None


def _trust(no_verify_ssl: bool, ca_bundle: Path | None) -> bool | str | None:
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
