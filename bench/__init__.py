"""The benchmark of fastzarr: ``make bench``. README.md describes the method.

* ``read_whole``, ``write_whole``, ``elements``, ``small_reads``, ``selections``, ``small_writes``,
  ``durable``, ``by_default``, ``hierarchy``, ``starting`` and ``memory`` define the rows, one
  file for each question.
* ``engines/`` has the operations of each library, one file each; ``floor/`` is a Rust program that
  does only the work that no library can avoid.
* ``data`` generates the data, and ``base`` has the classes that questions and engines share.
* ``worker`` measures one row of one engine in a separate process; ``conduct`` alternates the
  workers; ``table`` converts their results into minima, ratios and text.
* ``cloud/`` does the same for object stores.
"""
