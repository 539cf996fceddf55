"""async-s3copy: ``await copy(...)`` with the client and event loop that its arguments name."""

from __future__ import annotations

import sys

from async_s3copy import Account, CopyOptions, Observer, OperationState, copy
from benchmarks.drivers import common


class Watcher(Observer):
    """Tell the neighbour that validation is over."""

    def __init__(self, neighbour: common.Neighbour) -> None:
        self._neighbour = neighbour

    def state_changed(self, state: OperationState) -> None:
        """Note when copying begins; the listing has begun a page earlier."""
        if state is OperationState.COPYING:
            self._neighbour.flat_out()


async def work(neighbour: common.Neighbour) -> None:
    """Copy the prefix."""
    job = common.job()
    account = Account(endpoint_url=job["url"], region=job["region"])
    options = CopyOptions(
        client="boto" if "boto" in sys.argv[2:] else "wire",
        method=job["method"],
        max_concurrent_requests=job["concurrency"],
        max_concurrent_listings=job["listers"],
        max_requests_per_second=job["max_requests_per_second"],
    )
    metrics = await copy(
        f"s3://{job['source_bucket']}/{job['prefix']}",
        f"s3://{job['destination_bucket']}/{job['prefix']}",
        source=account,
        destination=account,
        recursive=True,
        options=options,
        observer=Watcher(neighbour),
    )
    common.tell(metrics=metrics.to_dict())


def main() -> None:
    """Run on uvloop where asked to, else on asyncio's own loop."""
    factory: common.LoopFactory | None = None
    if "uvloop" in sys.argv[2:]:
        import uvloop

        factory = uvloop.new_event_loop
    common.run(work, factory)


if __name__ == "__main__":
    main()
