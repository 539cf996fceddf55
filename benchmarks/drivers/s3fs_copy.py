"""s3fs: ``copy(recursive=True)`` of one folder to another."""

from __future__ import annotations

import s3fs

from benchmarks.drivers import common


def main() -> None:
    """Copy the prefix."""
    job = common.job()
    files = s3fs.S3FileSystem(
        endpoint_url=job["url"],
        client_kwargs={"region_name": job["region"]},
        config_kwargs={"max_pool_connections": job["concurrency"]},
        skip_instance_cache=True,
    )
    files.copy(
        f"{job['source_bucket']}/{job['prefix']}",
        f"{job['destination_bucket']}/{job['prefix']}",
        recursive=True,
        batch_size=job["concurrency"],
    )


if __name__ == "__main__":
    main()
