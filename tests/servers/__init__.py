"""Servers for tests and benchmarks of stores in the cloud, most in a process of their own.

* ``s3`` starts SeaweedFS, an S3 server that comes as a wheel.
* ``azure`` starts Azurite, which npm installs, and ``google`` runs a small server of Google's
  requests in this process.
* ``files`` starts an HTTP server for the files of a folder.
* ``redis`` starts Valkey, a Redis server that comes as a wheel.
* ``mongo`` starts MongoDB, or what stands in for it.
* ``proxy`` starts a relay before one of them that adds latency, counts requests and injects
  ``faults``; ``relay`` is its process.
* ``answering`` runs a server in this process whose answers a test makes.
* ``asking`` makes plain requests.

All listen on free ports of the loopback interface, and end with the process that started them.
"""
