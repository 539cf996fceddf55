"""The calls on multipart uploads."""

from __future__ import annotations

from benchmarks.simulator.bodies import Sink
from benchmarks.simulator.buckets import Worn
from benchmarks.simulator.messages import Replies, Reply, Request, S3Error, unquoted
from benchmarks.simulator.object_calls import ObjectCalls, byte_range, check_md5
from benchmarks.simulator.uploads import Part, Upload, Uploads
from benchmarks.simulator.worn import given

_NOW = b"2024-06-30T12:00:00.000Z"


class MultipartCalls:
    """Answers them.

    Args:
        objects: Finds what is copied and where to.
        uploads: The open ones.
        replies: Writes the answers.
    """

    def __init__(self, objects: ObjectCalls, uploads: Uploads, replies: Replies) -> None:
        self._objects = objects
        self._uploads = uploads
        self._replies = replies

    def create(self, request: Request, sink: Sink) -> Reply:
        """Answer CreateMultipartUpload."""
        destination = self._objects.destination(request)
        worn = Worn() if destination.worn is None else given(request)
        upload_id = self._uploads.create(destination.name, request.raw_key, worn)
        return self._replies.document(
            b"<InitiateMultipartUploadResult><Bucket>%b</Bucket><Key>%b</Key>"
            b"<UploadId>%b</UploadId></InitiateMultipartUploadResult>"
            % (destination.name, _text(request), upload_id.encode())
        )

    def copy_part(self, request: Request, sink: Sink) -> Reply:
        """Answer UploadPartCopy."""
        upload, number = self._part(request)
        origin = self._objects.origin(request)
        size = origin.stored.size_bytes
        wanted = request.header(b"x-amz-copy-source-range")
        start, end = (0, size) if wanted is None else byte_range(wanted, size)
        etag = self._objects.part_etag(origin, start, end)
        upload.parts[number] = Part(etag, end - start, origin.name, start, size)
        return self._replies.copied(b"CopyPartResult", etag, _NOW)

    def put_part(self, request: Request, sink: Sink) -> Reply:
        """Answer UploadPart; the bytes are hashed and dropped."""
        upload, number = self._part(request)
        check_md5(request, sink)
        etag = sink.md5.hexdigest().encode()
        upload.parts[number] = Part(etag, sink.size_bytes)
        return self._replies.empty(200, b'ETag: "%b"\r\n' % etag)

    def complete(self, request: Request, sink: Sink) -> Reply:
        """Answer CompleteMultipartUpload."""
        upload_id = request.query["uploadId"]
        upload = self._uploads.get(upload_id)
        destination = self._objects.destination(request)
        self._objects.check_absent(request, destination)
        stored = upload.complete(bytes(sink.kept))
        destination.record(upload.raw_key, stored)
        if destination.worn is not None:
            destination.worn[request.key] = upload.worn
        self._uploads.close(upload_id)
        return self._replies.document(
            b"<CompleteMultipartUploadResult><Bucket>%b</Bucket><Key>%b</Key>"
            b"<ETag>&quot;%b&quot;</ETag></CompleteMultipartUploadResult>"
            % (destination.name, _text(request), stored.etag)
        )

    def abort(self, request: Request, sink: Sink) -> Reply:
        """Answer AbortMultipartUpload."""
        upload_id = request.query["uploadId"]
        self._uploads.get(upload_id)
        self._uploads.close(upload_id)
        return self._replies.empty(204)

    def list_parts(self, request: Request, sink: Sink) -> Reply:
        """Answer ListParts, a thousand at a time."""
        upload_id = request.query["uploadId"]
        parts = self._uploads.get(upload_id).parts
        after = _number(request, "part-number-marker", 0)
        numbers = sorted(number for number in parts if number > after)
        shown = numbers[: min(1_000, _number(request, "max-parts", 1_000))]
        entries = b"".join(
            b"<Part><PartNumber>%d</PartNumber><LastModified>%b</LastModified>"
            b"<ETag>&quot;%b&quot;</ETag><Size>%d</Size></Part>"
            % (number, _NOW, parts[number].etag, parts[number].size_bytes)
            for number in shown
        )
        return self._replies.document(
            b"<ListPartsResult><Bucket>%b</Bucket><Key>%b</Key><UploadId>%b</UploadId>"
            b"<NextPartNumberMarker>%d</NextPartNumberMarker><IsTruncated>%b</IsTruncated>%b"
            b"</ListPartsResult>"
            % (
                request.bucket,
                _text(request),
                upload_id.encode(),
                shown[-1] if shown else after,
                b"true" if len(shown) < len(numbers) else b"false",
                entries,
            )
        )

    def list_uploads(self, request: Request, sink: Sink) -> Reply:
        """Answer ListMultipartUploads, all on one page."""
        self._objects.bucket(request.bucket)
        prefix = request.query.get("prefix", "").encode("utf-8", "surrogateescape")
        entries = b"".join(
            _upload_entry(upload_id, upload)
            for upload_id, upload in self._uploads.of(request.bucket).items()
            if unquoted(upload.raw_key).startswith(prefix)
        )
        return self._replies.document(
            b"<ListMultipartUploadsResult><Bucket>%b</Bucket><EncodingType>url</EncodingType>"
            b"<IsTruncated>false</IsTruncated>%b</ListMultipartUploadsResult>"
            % (request.bucket, entries)
        )

    def _part(self, request: Request) -> tuple[Upload, int]:
        upload = self._uploads.get(request.query["uploadId"])
        number = _number(request, "partNumber", 0)
        if not 1 <= number <= 10_000:
            raise S3Error(400, "InvalidArgument", "Part number must be between 1 and 10000.")
        return upload, number


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else default


def _text(request: Request) -> bytes:
    return request.key.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def _upload_entry(upload_id: str, upload: Upload) -> bytes:
    return (
        b"<Upload><Key>%b</Key><UploadId>%b</UploadId><StorageClass>STANDARD</StorageClass>"
        b"<Initiated>%b</Initiated></Upload>"
        % (
            upload.raw_key,
            upload_id.encode(),
            f"{upload.initiated:%Y-%m-%dT%H:%M:%S}.000Z".encode(),
        )
    )
