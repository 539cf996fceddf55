"""S3 without a network: a request in, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.simulator import listing
from benchmarks.simulator.bodies import Sink
from benchmarks.simulator.buckets import Buckets
from benchmarks.simulator.messages import Replies, Reply, Request, S3Error
from benchmarks.simulator.mixed import source_bucket
from benchmarks.simulator.multipart_calls import MultipartCalls
from benchmarks.simulator.object_calls import ObjectCalls, no_such_bucket
from benchmarks.simulator.uploads import Uploads

Handler = Callable[[Request, Sink], Reply]

_NOTHING_TO_SAY: Final[Mapping[str, bytes]] = {
    "GetBucketLocation": b"<LocationConstraint/>",
    "GetBucketVersioning": b"<VersioningConfiguration/>",
    "GetBucketAccelerateConfiguration": b"<AccelerateConfiguration/>",
    "GetBucketAcl": b"<AccessControlPolicy><Owner><ID>simulator</ID></Owner>"
    b"<AccessControlList/></AccessControlPolicy>",
    "GetObjectAcl": b"<AccessControlPolicy><Owner><ID>simulator</ID></Owner>"
    b"<AccessControlList/></AccessControlPolicy>",
}
_NOT_CONFIGURED: Final[Mapping[str, str]] = {
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketTagging": "NoSuchTagSet",
}
_TAKEN_AND_FORGOTTEN: Final[Mapping[str, int]] = {
    "CreateBucket": 200,
    "DeleteBucket": 204,
    "HeadBucket": 200,
    "PutObjectAcl": 200,
}


class Service:
    """Every call, by its name.

    Attributes:
        buckets: What is stored.
        uploads: Open multipart uploads.
        replies: Writes the answers.
    """

    def __init__(self) -> None:
        self.buckets = Buckets(source_bucket)
        self.uploads = Uploads()
        self.replies = Replies()
        self._handlers = self._all_handlers()

    def answer(self, operation: str, request: Request, sink: Sink) -> Reply:
        """Do what is asked for.

        Raises:
            S3Error: It is refused.
        """
        handler = self._handlers.get(operation)
        if handler is None:
            raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed here.")
        return handler(request, sink)

    def empty(self) -> None:
        """Forget all objects and uploads that were written."""
        self.buckets.empty()
        self.uploads.empty()

    def _all_handlers(self) -> Mapping[str, Handler]:
        objects = ObjectCalls(self.buckets, self.replies)
        multipart = MultipartCalls(objects, self.uploads, self.replies)
        return {
            **{name: self._document(body) for name, body in _NOTHING_TO_SAY.items()},
            **{name: self._absent(code) for name, code in _NOT_CONFIGURED.items()},
            **{name: self._empty(status) for name, status in _TAKEN_AND_FORGOTTEN.items()},
            "ListBuckets": self._list_buckets,
            "ListObjects": self._list_objects,
            "ListObjectsV2": self._list_objects,
            "CopyObject": objects.copy,
            "PutObject": objects.put,
            "HeadObject": objects.head,
            "GetObject": objects.get,
            "DeleteObject": objects.delete,
            "GetObjectTagging": objects.get_tags,
            "PutObjectTagging": objects.put_tags,
            "CreateMultipartUpload": multipart.create,
            "UploadPart": multipart.put_part,
            "UploadPartCopy": multipart.copy_part,
            "CompleteMultipartUpload": multipart.complete,
            "AbortMultipartUpload": multipart.abort,
            "ListParts": multipart.list_parts,
            "ListMultipartUploads": multipart.list_uploads,
        }

    def _list_objects(self, request: Request, sink: Sink) -> Reply:
        bucket = self.buckets.get(request.bucket)
        if bucket is None:
            raise no_such_bucket()
        query = listing.parse(request.query)
        return self.replies.document(
            listing.render(bucket, query, listing.read_page(bucket, query))
        )

    def _list_buckets(self, request: Request, sink: Sink) -> Reply:
        entries = b"".join(
            b"<Bucket><Name>%b</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket>"
            % name
            for name in self.buckets.names()
        )
        return self.replies.document(
            b"<ListAllMyBucketsResult><Owner><ID>simulator</ID></Owner><Buckets>%b</Buckets>"
            b"</ListAllMyBucketsResult>" % entries
        )

    def _document(self, body: bytes) -> Handler:
        def handler(request: Request, sink: Sink) -> Reply:
            self._check_bucket(request)
            return self.replies.document(body)

        return handler

    def _empty(self, status: int) -> Handler:
        def handler(request: Request, sink: Sink) -> Reply:
            self._check_bucket(request)
            return self.replies.empty(status, b"x-amz-bucket-region: us-east-1\r\n")

        return handler

    def _absent(self, code: str) -> Handler:
        def handler(request: Request, sink: Sink) -> Reply:
            self._check_bucket(request)
            raise S3Error(404, code, "Nothing of the kind is configured.")

        return handler

    def _check_bucket(self, request: Request) -> None:
        if self.buckets.get(request.bucket) is None:
            raise no_such_bucket()
