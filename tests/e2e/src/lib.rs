//! The whole mesh, tested from outside: see `tests/e2e`.
