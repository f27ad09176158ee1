//! Nothing: what is tried out is in `tests/`.
