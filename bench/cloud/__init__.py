"""The rows about object stores: latency added by a proxy, and requests counted by it.

* ``data`` uploads the arrays; ``rows`` defines the work; ``engines/`` has the operations of each
  library, one file each, and those of a bare client.
* ``worker`` runs one row of one engine in a separate process; ``conduct`` starts the servers,
  alternates the workers and reads the log of the proxy; ``table`` makes the tables.
"""
