"""Stop a copy half-way, then go on where it stopped.

Runs as it is against the demo's server, like ``across_accounts.py``.
"""

import asyncio

from async_s3copy import (
    Account,
    CopyCancelledError,
    CopyOptions,
    Observer,
    Outcome,
    S3CopyOperation,
)


def prepare(observer: Observer | None = None) -> S3CopyOperation:
    """Both runs are the same operation: what has arrived is left alone."""
    return S3CopyOperation(
        source_bucket="source-bucket",
        source_key="photos/",
        destination_bucket="destination-bucket",
        destination_key="stop-and-go-on/",
        recursive=True,
        overwrite=False,
        source=Account(profile="source"),
        destination=Account(profile="destination"),
        # Few at a time, so that there is something left to stop.
        options=CopyOptions(max_concurrent_requests=8),
        observer=observer,
    )


class StopAfter(Observer):
    """Cancel an operation after some objects."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.operation: S3CopyOperation | None = None

    def object_finished(self, outcome: Outcome) -> None:
        self.left -= 1
        if not self.left and self.operation is not None:
            self.operation.cancel()


async def main() -> None:
    watcher = StopAfter(20)
    watcher.operation = prepare(watcher)
    try:
        await watcher.operation.run()
    except CopyCancelledError as stopped:
        copied = stopped.metrics.files_copied_successfully
        print(f"stopped after {copied:,} objects, state {watcher.operation.state}")
    metrics = await prepare().run()
    print(
        f"{metrics.files_copied_successfully:,} more copied, {metrics.files_skipped:,} were there"
    )


asyncio.run(main())
