"""Servers for tests and benchmarks of stores in the cloud, each in a process of its own.

* ``s3`` starts SeaweedFS, an S3 server that comes as a wheel.
* ``files`` starts an HTTP server for the files of a folder.
* ``proxy`` starts a relay before one of them that adds latency, counts requests and injects
  ``faults``; ``relay`` is its process.
* ``asking`` makes plain requests.

All listen on free ports of the loopback interface, and end with the process that started them.
"""
