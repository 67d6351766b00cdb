"""The ledger in SQL: one function per step of the flow, each within a caller's transaction."""
