"""The benchmark of fastzarr: ``make bench``. README.md says how it measures.

* One file a question: ``read_whole``, ``write_whole``, ``small_reads``, ``selections``,
  ``small_writes``, ``durable``, ``hierarchy``, ``starting`` and ``memory`` say what is measured.
* ``engines/`` says how each library does it, one file each; ``floor/`` is a Rust program that does
  what none can leave out.
* ``data`` is what they read and write, ``base`` what questions and engines have in common.
* ``worker`` measures one row of one engine in a process of its own; ``conduct`` lets the workers
  take turns; ``table`` turns what they say into minima, ratios and text.
"""
