//! The gRPC face of the broker.
