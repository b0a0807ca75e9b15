"""boto3's claims, each a function. Told names on standard input, answers each with a line of JSON: null, or what went wrong.

`boto3_claims.py --names` prints the names of all, in their order.
"""
import hashlib
import io
import json
import os
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request

MIB = 1024 * 1024
PART = 5 * MIB
CLAIMS = {}


def claim(name):
    def register(function):
        CLAIMS[name] = function
        return function

    return register


class Place:
    def __init__(self):
        import boto3
        from botocore.config import Config

        environment = os.environ
        self.bucket = environment["TALLY_TEST_BUCKET"]
        self.folder = environment["TALLY_TEST_FOLDER"]
        settings = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        endpoint = environment["TALLY_TEST_ENDPOINT"]
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=settings)
        # For what it would repeat after a refusal, for a quarter of a minute.
        once = settings.merge(Config(retries={"max_attempts": 0}))
        self.s3_once = boto3.client("s3", endpoint_url=endpoint, config=once)

    def put(self, key, body, **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()


def content(length, seed):
    """Bytes that nothing compresses, the same ones for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(length)


def same(seen, expected):
    if seen != expected:
        raise AssertionError("seen %.300r, expected %.300r" % (seen, expected))


def refused(code, call, **parameters):
    from botocore.exceptions import ClientError

    try:
        call(**parameters)
    except ClientError as error:
        same(error.response["Error"]["Code"], code)
        return
    raise AssertionError("not refused with " + code)


def fetch(url, method="GET", body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


@claim("makes a bucket, and puts and gets with metadata and ranges")
def plain(place):
    place.s3.create_bucket(Bucket=place.bucket)
    place.put("plain/ü & +", b"0123456789", Metadata={"colour": "blue"}, ContentType="text/x-test")
    head = place.s3.head_object(Bucket=place.bucket, Key="plain/ü & +")
    same((head["ContentLength"], head["Metadata"], head["ContentType"]), (10, {"colour": "blue"}, "text/x-test"))
    same(place.get("plain/ü & +", Range="bytes=2-4"), b"234")
    refused("NoSuchKey", place.get, key="plain/nothing")


@claim("upload_file and download_file, in parts")
def files(place):
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    there, back = os.path.join(place.folder, "there"), os.path.join(place.folder, "back")
    body = content(2 * PART + 123, "file")
    with open(there, "wb") as file:
        file.write(body)
    place.s3.upload_file(there, place.bucket, "file", ExtraArgs={"Metadata": {"by": "parts"}}, Config=config)
    head = place.s3.head_object(Bucket=place.bucket, Key="file", PartNumber=3)
    same((head["ETag"][-3:], head["PartsCount"], head["ContentLength"]), ('-3"', 3, 123))
    place.s3.download_file(place.bucket, "file", back, Config=config)
    with open(back, "rb") as file:
        same(file.read() == body, True)
    place.s3.copy({"Bucket": place.bucket, "Key": "file"}, place.bucket, "file-copy", Config=config)
    same(place.get("file-copy") == body, True)


@claim("upload_fileobj of what can only be read once")
def streams(place):
    class Once(io.RawIOBase):
        def __init__(self, body):
            self.rest = io.BytesIO(body)

        def readable(self):
            return True

        def read(self, size=-1):
            return self.rest.read(size)

    place.s3.upload_fileobj(Once(b"once and for all"), place.bucket, "stream")
    same(place.get("stream"), b"once and for all")


@claim("presigned URLs get, put, head and delete")
def presigned(place):
    def url(method, **parameters):
        return place.s3.generate_presigned_url(
            method, Params={"Bucket": place.bucket, "Key": "presigned", **parameters}, ExpiresIn=60
        )

    same(fetch(url("put_object", ContentType="text/x-told"), "PUT", b"by URL", {"Content-Type": "text/x-told"})[0], 200)
    status, body, headers = fetch(url("get_object", ResponseContentDisposition="attachment"))
    same((status, body, headers["Content-Disposition"]), (200, b"by URL", "attachment"))
    same(fetch(url("head_object"), "HEAD")[2]["Content-Length"], "6")
    same(fetch(url("get_object").replace("presigned", "stream"))[0], 403)
    same(fetch(url("delete_object"), "DELETE")[0], 204)
    same(fetch(url("get_object"))[0], 404)


@claim("generate_presigned_post makes a form that uploads")
def form(place):
    post = place.s3.generate_presigned_post(
        place.bucket,
        "form/${filename}",
        Fields={"success_action_status": "201", "x-amz-meta-from": "form"},
        Conditions=[
            {"success_action_status": "201"},
            {"x-amz-meta-from": "form"},
            ["content-length-range", 1, 100],
        ],
    )

    def send(body, **changes):
        border, lines = "border-of-the-form", []
        for name, value in {**post["fields"], **changes}.items():
            lines.append('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (border, name, value))
        lines.append(
            '--%s\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
            "Content-Type: text/plain\r\n\r\n" % border
        )
        whole = "".join(lines).encode() + body + ("\r\n--%s--\r\n" % border).encode()
        return fetch(post["url"], "POST", whole, {"Content-Type": "multipart/form-data; boundary=" + border})

    status, answer, _ = send(b"from a form")
    same((status, b"<Key>form/a b.txt</Key>" in answer), (201, True))
    same(place.get("form/a b.txt"), b"from a form")
    same(send(b"x" * 101)[0], 400)
    same(send(b"another key", key="elsewhere")[0], 403)


@claim("checksums, of each algorithm that it can make")
def checksums(place):
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        key, field = "checksum/" + algorithm, "Checksum" + algorithm
        put = place.put(key, b"summed up", ChecksumAlgorithm=algorithm)
        got = place.s3.get_object(Bucket=place.bucket, Key=key, ChecksumMode="ENABLED")
        same((got["Body"].read(), got[field]), (b"summed up", put[field]))
        parts = place.s3.get_object_attributes(Bucket=place.bucket, Key=key, ObjectAttributes=["Checksum"])
        same(parts["Checksum"][field], put[field])
        wrong = {"Bucket": place.bucket, "Key": key, "Body": b"other", field: put[field]}
        refused("BadDigest", place.s3_once.put_object, **wrong)


@claim("multipart by hand, listed in pages, completed and aborted")
def multipart(place):
    s3, target = place.s3, {"Bucket": place.bucket, "Key": "parts"}
    upload = {**target, "UploadId": s3.create_multipart_upload(**target)["UploadId"]}
    etags = [
        s3.upload_part(**upload, PartNumber=1, Body=content(PART, "part"))["ETag"],
        s3.upload_part_copy(
            **upload, PartNumber=2, CopySource={"Bucket": place.bucket, "Key": "file"}, CopySourceRange="bytes=5-14"
        )["CopyPartResult"]["ETag"],
    ]
    pages = s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": 1})
    same([part["ETag"] for page in pages for part in page["Parts"]], etags)
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket)
    same([one["UploadId"] for page in pages for one in page["Uploads"]], [upload["UploadId"]])
    parts = [{"PartNumber": index + 1, "ETag": etag} for index, etag in enumerate(etags)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    same(place.get("parts", Range="bytes=-10"), content(2 * PART, "file")[5:15])
    upload["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
    s3.abort_multipart_upload(**upload)
    refused("NoSuchUpload", s3.list_parts, **upload)


@claim("paginators of both listings, with a delimiter")
def listings(place):
    names = ["list/%02d" % number for number in range(12)]
    for name in names + ["list/deep/a", "list/deep/b"]:
        place.put(name, name.encode())
    for operation in ("list_objects", "list_objects_v2"):
        paginator = place.s3.get_paginator(operation)
        pages = list(
            paginator.paginate(
                Bucket=place.bucket, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 5}
            )
        )
        same([entry["Key"] for page in pages for entry in page.get("Contents", [])], names)
        same([entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])], ["list/deep/"])


@claim("versions and tags")
def versions(place):
    s3, bucket = place.s3, place.bucket + "-versions"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=text, Tagging="n=1")["VersionId"] for text in (b"1", b"2")]
    s3.delete_object(Bucket=bucket, Key="k")
    same(s3.get_object(Bucket=bucket, Key="k", VersionId=ids[0])["Body"].read(), b"1")
    tags = s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=ids[1])["TagSet"]
    same(tags, [{"Key": "n", "Value": "1"}])
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1}))
    found = [each["VersionId"] for page in pages for each in page.get("Versions", []) + page.get("DeleteMarkers", [])]
    same((len(found), found[1:]), (3, list(reversed(ids))))
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": each} for each in found]})
    s3.delete_bucket(Bucket=bucket)


@claim("deletes a thousand keys at once at most, and the bucket once it is empty")
def removal(place):
    refused("BucketNotEmpty", place.s3.delete_bucket, Bucket=place.bucket)
    for page in place.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket):
        keys = [{"Key": entry["Key"]} for entry in page["Contents"]]
        same(place.s3.delete_objects(Bucket=place.bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors"), None)
    place.s3.delete_bucket(Bucket=place.bucket)


def main():
    if "--names" in sys.argv:
        print(json.dumps(list(CLAIMS)))
        return
    place = Place()
    for line in sys.stdin:
        try:
            CLAIMS[json.loads(line)](place)
            outcome = None
        except Exception:
            outcome = traceback.format_exc()
        print(json.dumps(outcome), flush=True)


main()
