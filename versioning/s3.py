"""Model files from S3, or from anything that speaks it, by boto3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from versioning.errors import ArtifactError, NotFoundError, RegistryUnavailableError
from versioning.metrics import REGISTRY_FAILURES
from versioning.mlmodel import inside
from versioning.settings import VersioningSettings

_ATTEMPTS: Final = 3
_ABSENT: Final = frozenset({"NoSuchBucket", "NoSuchKey", "404"})


def download_folder(address: str, into: Path, settings: VersioningSettings) -> None:
    """Brings all objects under `s3://bucket/prefix` into the folder `into`.

    Blocks at most REGISTRY_TIMEOUT_SECONDS to connect and as long between two answers, each tried three times.

    Raises:
        NotFoundError: Nothing is there.
        ArtifactError: More than ARTIFACT_MAX_BYTES, or keys that lead out of the folder.
        RegistryUnavailableError: No answer, or no permission.
    """
    parts = urlsplit(address)
    bucket, prefix = parts.netloc, parts.path.strip("/") + "/"
    with _translated(address):
        client = _client(settings)
        keys = _sizes_by_key(client, bucket, prefix)
        if not keys:
            raise NotFoundError(f"nothing is stored under {address}")
        if sum(keys.values()) > settings.artifact_max_bytes:
            raise ArtifactError(
                f"{address} is {sum(keys.values())} bytes, more than ARTIFACT_MAX_BYTES={settings.artifact_max_bytes}"
            )
        for key in keys:
            path = inside(into, key.removeprefix(prefix))
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, key, str(path))


def _client(settings: VersioningSettings) -> Any:
    import boto3  # noqa: PLC0415 - only where models lie in S3
    from botocore.config import Config  # noqa: PLC0415

    secret = settings.aws_secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=settings.mlflow_s3_endpoint_url or None,
        aws_access_key_id=settings.aws_access_key_id or None,
        aws_secret_access_key=(secret.get_secret_value() if secret else None) or None,
        region_name=settings.aws_default_region or None,
        config=Config(
            connect_timeout=settings.registry_timeout_seconds,
            read_timeout=settings.registry_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        ),
    )


def _sizes_by_key(client: Any, bucket: str, prefix: str) -> dict[str, int]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [item for page in pages for item in page.get("Contents", [])]
    return {item["Key"]: int(item["Size"]) for item in found if not item["Key"].endswith("/")}


@contextmanager
def _translated(address: str) -> Iterator[None]:
    import boto3.exceptions  # noqa: PLC0415 - only where models lie in S3
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _ABSENT:
            raise NotFoundError(f"{address}: {error}") from error
        REGISTRY_FAILURES.inc()
        raise RegistryUnavailableError(
            f"the store of {address} refuses ({code}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket"
        ) from error
    except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
        REGISTRY_FAILURES.inc()
        raise RegistryUnavailableError(
            f"the store of {address} did not answer: {error}; check MLFLOW_S3_ENDPOINT_URL and the AWS_ settings"
        ) from error
