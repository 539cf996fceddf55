"""Two accounts' worlds for command-line tests: a server, its profiles, a clean environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from async_s3copy.testing import seed
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS

SOURCE, DESTINATION = "source-bucket", "destination-bucket"


class World:
    """A server with two buckets, a principal for each, and the profiles to use them."""

    def __init__(self, server: SeaweedFS, folder: Path, *identities: Identity) -> None:
        self.server = server
        self.secrets = [who.secret_access_key for who in identities]
        config = folder / "config"
        config.write_text(
            "\n".join(
                f"[profile {who.name}]\naws_access_key_id = {who.access_key_id}\n"
                f"aws_secret_access_key = {who.secret_access_key}\n"
                f"region = us-east-1\nendpoint_url = {server.endpoint_url}\n"
                for who in identities
            )
        )
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Must not turn a pipe into a terminal.
            "FORCE_COLOR": "1",
        }

    def look(self, prefix: str) -> dict[str, seed.Listed]:
        """List the destination."""

        async def look() -> dict[str, seed.Listed]:
            async with self.admin() as client:
                return await seed.list_all(client, DESTINATION, prefix)

        return asyncio.run(look())

    def open_uploads(self) -> int:
        async def count() -> int:
            async with self.admin() as client:
                return await seed.count_open_uploads(client, DESTINATION)

        return asyncio.run(count())

    def admin(self) -> Any:
        admin = self.server.admin
        return seed.open_client(
            self.server.endpoint_url, admin.access_key_id, admin.secret_access_key
        )
