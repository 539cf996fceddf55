"""Copy a prefix of one account into another, and show progress once a second.

Runs as it is against the demo's server: ``make demo-serve``, then the printed ``export`` line, then
``.venv-demo/bin/python examples/across_accounts.py``.
"""

import asyncio
import time

from async_s3copy import Account, Observer, Outcome, copy


class Ticker(Observer):
    """Print how many objects are done, at most once a second."""

    def __init__(self) -> None:
        self.found = self.done = 0
        self.printed_at = time.monotonic()

    def objects_listed(self, count: int, size_bytes: int) -> None:
        self.found += count

    def object_finished(self, outcome: Outcome) -> None:
        self.done += 1
        if time.monotonic() - self.printed_at >= 1:
            self.printed_at = time.monotonic()
            print(f"{self.done:,} of {self.found:,} objects found so far")

    def notice(self, text: str) -> None:
        print(text)


async def main() -> None:
    metrics = await copy(
        "s3://source-bucket/photos/",
        "s3://destination-bucket/examples/",
        source=Account(profile="source"),
        destination=Account(profile="destination"),
        recursive=True,
        observer=Ticker(),
    )
    print(f"{metrics.files_copied_successfully:,} objects copied")


asyncio.run(main())
