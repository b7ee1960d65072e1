"""A container of Azure Blob Storage, with the arguments of zarr-python 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastzarr.stores.keys import normalise_path
from fastzarr.stores.obstore import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Mapping


class ABSStore(ObjectStore):
    """A store in a container of Azure Blob Storage, below ``prefix``.

    ``client`` is an ``azure.storage.blob.ContainerClient``, of which the account, the container and
    the key of the account are taken. Otherwise ``container`` and ``account_name`` are required.
    Of ``blob_service_kwargs``, ``endpoint`` and the options of obstore are used. ``ObjectStore``
    says what is promised.

    >>> ABSStore("container", "a/b", account_name="me", account_key="aGlkZGVu")
    ABSStore('az://container@me/a/b')
    """

    def __init__(
        self,
        container: str | None = None,
        prefix: str = "",
        account_name: str | None = None,
        account_key: str | None = None,
        blob_service_kwargs: Mapping[str, Any] | None = None,
        dimension_separator: str | None = None,
        client: Any = None,
        *,
        read_only: bool = False,
    ) -> None:
        """Initialise with a container and its account.

        Raise TypeError if neither a container nor a client is passed.
        """
        options = dict(blob_service_kwargs or {})
        if client is not None:
            container = client.container_name
            account_name = client.account_name
            account_key = getattr(client.credential, "account_key", None)
            if client.scheme == "http":  # a server of a developer
                options.setdefault("endpoint", f"http://{client.primary_hostname}")
        if container is None:
            msg = "pass a container and account_name, or a ContainerClient as client"
            raise TypeError(msg)
        options |= {"account_name": account_name, "account_key": account_key}
        path = normalise_path(prefix)
        url = f"az://{container}/{path}" if path else f"az://{container}"
        super().__init__(url, read_only=read_only, storage_options=options)
        self.dimension_separator = dimension_separator
