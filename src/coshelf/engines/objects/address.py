"""Parses the URLs of this engine: which store, where in it, and how to reach it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from coshelf.engines import server_urls
from coshelf.engines.urls import without_secrets

__all__ = ["Address"]

_SEGMENT = re.compile(r"[A-Za-z0-9!._*'()=+@,:-]+")
_BUCKET = re.compile(r"[A-Za-z0-9!._*'()=+,-]+")  # no colon: with a colon it is a user and a secret
_LONGEST_PREFIX = 500  # of 1024 bytes of a name
# Any other option of a URL may be a secret, or the name of one.
_NO_SECRETS = {
    "endpoint",
    "region",
    "bucket_region",
    "virtual_hosted_style_request",
    "skip_signature",
    "imdsv1_fallback",
    "request_payer",
    "account_name",
    "use_emulator",
}
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"), "az": ("AZURE_STORAGE_ENDPOINT",)}


@dataclass(frozen=True)
class Address:
    """A parsed URL.

    Attributes:
        scheme: "s3", "gs" or "az".
        bucket: the bucket, or on Azure the container.
        prefix: the beginning of all names, without slashes at its ends; "" if there is none.
        options: the options for the client, by the client's names.
        shown: the URL for messages, without secrets.
    """

    scheme: str
    bucket: str
    prefix: str
    options: dict[str, str] = field(repr=False)
    shown: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Parse a URL. Raises ValueError for a URL of another form; the message shows no secrets."""
        parts = server_urls.parse(url)
        scheme, bucket, prefix = parts.scheme, parts.hosts, parts.path.strip("/")
        if not _BUCKET.fullmatch(bucket) or "#" in url:
            raise ValueError(
                f"{parts.shown} names no bucket: write {scheme}://BUCKET/PREFIX\n  hint: {server_urls.ESCAPED}"
            )
        for segment in prefix.split("/") if prefix else ():
            if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
                raise ValueError(f"{parts.shown}: a part of the prefix may have only letters, digits and !._*'()=+@,:-")
        if len(prefix) > _LONGEST_PREFIX:
            raise ValueError(f"{parts.shown}: a prefix has at most {_LONGEST_PREFIX} bytes, this one has {len(prefix)}")
        shown = f"{scheme}://{bucket}/{prefix}"
        options = parts.options
        if parts.credentials:
            name, _, secret = parts.credentials.partition(":")
            if scheme != "s3" or not secret:
                raise ValueError(f"{shown}: credentials in a URL are s3://KEY:SECRET@BUCKET, or come from elsewhere")
            options |= {"access_key_id": unquote(name), "secret_access_key": unquote(secret)}
        return cls(scheme, bucket, prefix, options, shown)

    @property
    def root(self) -> str:
        """The beginning of the names of all objects: the prefix and a slash, or "" if there is no prefix."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def endpoint(self) -> str | None:
        """The server that the URL or the environment names; None for the provider's own."""
        found = self.options.get("endpoint")
        for name in _ENDPOINTS.get(self.scheme, ()):
            found = found or os.environ.get(name)
        return found or None

    @property
    def server(self) -> str:
        """Where the server is, for messages."""
        return self.shown if self.endpoint is None else f"{self.shown} at {without_secrets(self.endpoint)}"

    def reopening(self) -> str:
        """The URL for another process with the same environment. Raises TypeError if there are secrets in it."""
        secret = sorted(self.options.keys() - _NO_SECRETS)
        if secret:
            raise TypeError(
                f"{self.shown} cannot be pickled: its URL has {', '.join(secret)}, which may be secret\n"
                "  hint: keep credentials in the environment, or open the shelf in the process that uses it"
            )
        query = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.scheme}://{self.bucket}/{self.prefix}{'?' + query if query else ''}"
