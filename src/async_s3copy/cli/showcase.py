"""The acts of the demo: two accounts, two copies, one verification."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from async_s3copy.cli.compare import Comparison, Side, compare
from async_s3copy.cli.run import run_operation
from async_s3copy.cli.summary import summary_lines
from async_s3copy.cli.text import count_text, duration_text, printable, size_text
from async_s3copy.cli.views import make_view, print_line
from async_s3copy.errors import CopyFailedError
from async_s3copy.model import CopyMethod
from async_s3copy.operation import S3CopyOperation
from async_s3copy.options import MIB, CopyOptions, Method
from async_s3copy.s3.account import Account
from async_s3copy.testing.seed import (
    ODD_NAMES,
    REGION,
    SeedObject,
    count_open_uploads,
    open_client,
    plan_objects,
    refusal,
    seed,
)

if TYPE_CHECKING:
    from async_s3copy.metrics import TransferMetrics
    from async_s3copy.testing.seaweedfs import Identity

SOURCE_BUCKET: Final = "source-bucket"
DESTINATION_BUCKET: Final = "destination-bucket"
SOURCE_PREFIX: Final = "photos/"
_SOURCE_URL: Final = f"s3://{SOURCE_BUCKET}/{SOURCE_PREFIX}"

# Far below the defaults, so that a demo-sized object is copied in parts.
_PART_BYTES: Final = 16 * MIB
_DESCRIBED: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The server and who may do what on it.

    Attributes:
        endpoint_url: The S3 server.
        admin: May do everything; only creates and seeds the buckets.
        source: Sees the source bucket only.
        destination: Sees the destination bucket only.
        copier: May read the source and write the destination.
    """

    endpoint_url: str
    admin: Identity
    source: Identity
    destination: Identity
    copier: Identity

    def account(self, identity: Identity) -> Account:
        """Return an identity as an Account."""
        return Account(
            access_key_id=identity.access_key_id,
            secret_access_key=identity.secret_access_key,
            region=REGION,
            endpoint_url=self.endpoint_url,
        )


@asynccontextmanager
async def _clients(cast: Cast, *identities: Identity) -> AsyncIterator[Sequence[Any]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_client(cast.endpoint_url, who.access_key_id, who.secret_access_key)
            )
            for who in identities
        ]


async def set_up(console: Console, cast: Cast, count: int) -> Sequence[SeedObject]:
    """Create both buckets and seed the source."""
    objects = plan_objects(count, SOURCE_PREFIX)
    began = time.monotonic()
    async with _clients(cast, cast.admin) as (admin,):
        with console.status(f"seeding {count_text(count)} ..."):
            for bucket in (SOURCE_BUCKET, DESTINATION_BUCKET):
                await admin.create_bucket(Bucket=bucket)
            await seed(admin, SOURCE_BUCKET, objects)
    size = size_text(sum(item.size for item in objects))
    seconds = duration_text(time.monotonic() - began)
    _say(console, f"SeaweedFS, an S3 server, runs on {cast.endpoint_url} (this machine only).")
    _say(console, f"{_SOURCE_URL}: {count_text(count)}, {size} ({seconds}).")
    odd = ", ".join(printable(repr(name)) for name in ODD_NAMES[2:7:2])
    _say(console, f"Odd keys ({odd} ...), empty objects, metadata, tags,")
    _say(console, "and one object of 48 MiB (the demo lowers the multipart threshold to 16 MiB).")
    return objects


async def show_walls(console: Console, cast: Cast) -> bool:
    """Show that neither account sees the other's bucket.

    Returns:
        Whether that is so.
    """
    table = _table("account", SOURCE_BUCKET, DESTINATION_BUCKET)
    as_expected = True
    identities = (cast.source, cast.destination, cast.copier)
    expected = ((True, False), (False, True), (True, True))
    async with _clients(cast, *identities) as clients:
        for who, client, may in zip(identities, clients, expected, strict=True):
            answers = [await refusal(client, name) for name in (SOURCE_BUCKET, DESTINATION_BUCKET)]
            table.add_row(who.name, *(_access(code) for code in answers))
            as_expected &= tuple(not code for code in answers) == may
    console.print(table)
    return as_expected


def _access(code: str) -> Text:
    return Text(code, style="yellow") if code else Text("may list", style="green")


async def copy_to(
    console: Console, cast: Cast, prefix: str, *, reader: Identity, writer: Identity, method: Method
) -> TransferMetrics:
    """Copy the source into a prefix of the destination bucket, and say how it went."""
    _show_call(console, prefix, reader, writer, method)
    view = make_view(f"{_SOURCE_URL} to s3://{DESTINATION_BUCKET}/{prefix}", console=console)
    operation = S3CopyOperation(
        SOURCE_BUCKET,
        SOURCE_PREFIX,
        DESTINATION_BUCKET,
        prefix,
        recursive=True,
        source=cast.account(reader),
        destination=cast.account(writer),
        options=CopyOptions(
            method=method, multipart_threshold_bytes=_PART_BYTES, part_size_bytes=_PART_BYTES
        ),
        observer=view,
    )
    try:
        metrics = await run_operation(operation, view)
    except CopyFailedError as error:
        metrics = error.metrics
    for line in summary_lines(metrics):
        _say(console, line)
    return metrics


def _show_call(
    console: Console, prefix: str, reader: Identity, writer: Identity, method: Method
) -> None:
    lines = (
        f'await copy("{_SOURCE_URL}", "s3://{DESTINATION_BUCKET}/{prefix}",',
        f'           source=Account(profile="{reader.name}"),',
        f'           destination=Account(profile="{writer.name}"),',
        f'           recursive=True, method="{method}")',
    )
    for line in lines:
        console.print(Text(f"  {line}", style="cyan"), soft_wrap=True)


def travelled(metrics: TransferMetrics, count: int, method: CopyMethod) -> bool:
    """Tell whether all objects arrived, and all of them in the expected way."""
    relayed = count if method is CopyMethod.RELAY else 0
    return metrics.files_copied_successfully == count and metrics.files_relayed == relayed


async def verify(
    console: Console, cast: Cast, objects: Sequence[SeedObject], prefixes: Sequence[str]
) -> bool:
    """Compare every object of the source with its copies, each side read by its own account.

    Returns:
        Whether all copies are identical.
    """
    table = _table("copy", "arrived", "ETag", "SHA-256", "tags etc.", "result")
    described = [item.key.removeprefix(SOURCE_PREFIX) for item in objects if item.metadata]
    identical = True
    async with _clients(cast, cast.source, cast.destination) as (reader, writer):
        for prefix in prefixes:
            with console.status(f"comparing {prefix} ..."):
                result = await compare(
                    Side(reader, SOURCE_BUCKET, SOURCE_PREFIX),
                    Side(writer, DESTINATION_BUCKET, prefix),
                    described[:_DESCRIBED],
                )
            table.add_row(prefix, *_row(result))
            identical &= result.is_identical and result.objects == len(objects)
    console.print(table)
    return identical


def _row(result: Comparison) -> Sequence[str | Text]:
    arrived = result.objects - len(result.missing)
    verdict = Text("identical", style="green")
    if not result.is_identical:
        bad = (("missing", result.missing), ("extra", result.extra), ("different", result.wrong))
        found = [f"{len(keys)} {what}: {printable(keys[0])}" for what, keys in bad if keys]
        verdict = Text("; ".join(found) or "nothing to compare", style="red")
    return (
        f"{arrived:,} of {result.objects:,}",
        f"{arrived - result.by_content:,}",
        f"{result.by_content:,}",
        f"{result.described:,}",
        verdict,
    )


def show_metrics(console: Console, runs: Mapping[str, TransferMetrics]) -> None:
    """Print the metrics of each run as JSON."""
    for name, metrics in runs.items():
        _say(console, f"{name}:")
        console.print(Text(json.dumps(metrics.to_dict(), indent=2)), soft_wrap=True)


async def check_uploads(console: Console, cast: Cast) -> bool:
    """Tell whether no multipart upload was left open."""
    async with _clients(cast, cast.admin) as (admin,):
        count = await count_open_uploads(admin, DESTINATION_BUCKET)
    _say(console, f"{count_text(count, 'multipart upload')} left open.")
    return count == 0


def heading(console: Console, text: str) -> None:
    """Print the heading of an act."""
    console.print()
    console.print(Text(text, style="bold"))


def _say(console: Console, text: str) -> None:
    console.print(Text(f"  {text}"), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def conclude(console: Console, checks: Mapping[str, bool], seconds: float) -> bool:
    """Print the last line; true only if every check held."""
    console.print()
    wrong = [name for name, held in checks.items() if not held]
    if wrong:
        print_line(console, "error", f"not verified: {', '.join(wrong)}")
        return False
    console.print(Text(f"Everything verified in {duration_text(seconds)}.", style="bold green"))
    return True
