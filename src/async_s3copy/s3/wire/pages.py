"""The answers to the two listings of many keys, turned into pages a millisecond at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from async_s3copy.errors import Side
from async_s3copy.s3.values import ListPage, VersionPage
from async_s3copy.s3.wire.failures import Call, s3_failure, unusable_success
from async_s3copy.s3.wire.http import Response
from async_s3copy.s3.wire.listing_xml import ListingParser
from async_s3copy.s3.wire.versions_xml import VersionsParser
from async_s3copy.s3.wire.xml import XmlError

Page = TypeVar("Page")
Page_co = TypeVar("Page_co", covariant=True)


class PageParser(Protocol[Page_co]):
    """What reads a page step by step."""

    def advance(self) -> bool:
        """Read on; returns whether the page is complete."""
        ...

    def page(self) -> Page_co:
        """Return the page."""
        ...


class PagedAnswer(Generic[Page]):
    """Read one page of a listing, about a millisecond at a time."""

    def __init__(self, response: Response, call: Call, parser: PageParser[Page]) -> None:
        self._response = response
        self._call = call
        if response.status >= 300:
            raise s3_failure(response, call)
        self._parser = parser

    def advance(self) -> bool:
        """Read on for about a millisecond; returns whether the page is complete.

        Raises:
            S3Error: The answer is no listing; taken for one, a bucket would seem empty.
        """
        with self._readable():
            return self._parser.advance()

    def page(self) -> Page:
        """Return the page, reading what is left of it.

        Raises:
            S3Error: The answer is no listing; taken for one, a bucket would seem empty.
        """
        with self._readable():
            return self._parser.page()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except XmlError as error:
            problem = f"the answer holds no listing: {error}"
            raise unusable_success(self._response, self._call, problem) from None


class ListingAnswer(PagedAnswer[ListPage]):
    """Read one page of a listing, about a millisecond at a time.

    Args:
        response: The response to ListObjectsV2.
        side: Whose credentials asked for it.
        bucket: The bucket.

    Raises:
        S3Error: S3 refused.
    """

    def __init__(self, response: Response, side: Side, bucket: str) -> None:
        call = Call("ListObjectsV2", side, bucket)
        super().__init__(response, call, ListingParser(bucket, response.body))


class VersionsAnswer(PagedAnswer[VersionPage]):
    """Read one page of a listing of versions, about a millisecond at a time.

    Args:
        response: The response to ListObjectVersions.
        side: Whose credentials asked for it.
        bucket: The bucket.
        prefix: The prefix that was asked for.

    Raises:
        S3Error: S3 refused.
    """

    def __init__(self, response: Response, side: Side, bucket: str, prefix: str) -> None:
        call = Call("ListObjectVersions", side, bucket)
        super().__init__(response, call, VersionsParser(bucket, prefix, response.body))


def list_page(response: Response, side: Side, bucket: str) -> ListPage:
    """Read the answer to ListObjectsV2 in one go."""
    return ListingAnswer(response, side, bucket).page()


def version_page(response: Response, side: Side, bucket: str, prefix: str) -> VersionPage:
    """Read the answer to ListObjectVersions in one go."""
    return VersionsAnswer(response, side, bucket, prefix).page()
