"""The rows about stores in one file, in a database and behind a server, and about N5.

* ``engines`` opens the stores of each library; ``rows`` defines the work; ``worker`` runs one row
  of one engine in a separate process; ``report`` starts the workers and makes the table.
* zarr-python 2, the last library with most of these stores, is installed beside the environment,
  in ``build/zarr2``, and comes first on the path of its worker only.
"""
