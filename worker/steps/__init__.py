"""The steps of a retraining: train, score a shard of the pool, select the next batch.

Each reads what it needs, computes without holding a transaction, and leaves its result in one
transaction that its claim guards. Any of them may run again after a crash.
"""
