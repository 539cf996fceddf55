"""Load ahead, in a thread, what botocore would load on the event loop to make a client."""

from __future__ import annotations

import copy
import functools
import gzip
import json
from pathlib import Path
from typing import Any, Final

from botocore.loaders import JSONFileLoader, Loader, create_loader

_SHARED: Final = ("_retry", "endpoints", "partitions", "sdk-default-configuration")
_OF_SERVICE: Final = ("service-2", "endpoint-rule-set-1")


def load_ahead(session: Any, *services: str) -> None:
    """Read the config files, and botocore's descriptions of services, into a session's caches.

    It blocks for a tenth of a second the first time: call it in a thread. What is there already
    is not read again.

    Args:
        session: An aiobotocore session.
        services: Which services, such as ``"s3"``.

    Raises:
        BotoCoreError: A config file or a description cannot be read.
    """
    # Reading the property is what fills the cache.
    _ = session.full_config
    loader = _quick(session.get_component("data_loader"))
    for name in _SHARED:
        loader.load_data_with_path(name)
    for service in services:
        for kind in _OF_SERVICE:
            # The very arguments that aiobotocore asks with: they are the key of the cache.
            loader.load_service_model(service, kind, api_version=None)


@functools.cache
def shared_loader(data_path: str | None) -> Any:
    """Return the loader of all sessions with this ``AWS_DATA_PATH``: what it has read, it keeps."""
    loader = create_loader(data_path)
    loader.file_loader = _PlainFiles()
    return loader


class _PlainFiles(JSONFileLoader):  # type: ignore[misc]  # botocore is untyped
    """Read JSON into plain dictionaries, which keep their order as well.

    One file is one step of C during which no thread, and so no event loop, goes on: 8 ms for the
    largest, where botocore's ordered dictionaries take 30. They also take 4 MiB less.
    """

    def load_file(self, file_path: str) -> Any:
        for suffix, read in ((".json", Path.read_bytes), (".json.gz", _read_compressed)):
            path = Path(file_path + suffix)
            if path.is_file():
                return json.loads(read(path))
        return None


def _read_compressed(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _quick(loader: Any) -> Any:
    """Return a loader with the same cache, which reads botocore's own files the quick way."""
    if type(loader) is not Loader or type(loader.file_loader) is not JSONFileLoader:
        return loader
    quick = copy.copy(loader)
    quick.file_loader = _PlainFiles()
    return quick
