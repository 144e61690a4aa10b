//! CloudEvents filter dialects: check, compile, evaluate.
