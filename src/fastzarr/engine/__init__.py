"""Running plans: the driver, its twin in NumPy, threads and failures."""
