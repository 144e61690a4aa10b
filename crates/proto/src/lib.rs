//! Generated code of `proto/`: the CloudEvents protobuf format and Wissel's own
//! gRPC API.
//!
//! A field of [`wissel::v1`] that holds a CloudEvent is `Bytes` here: the
//! encoded event, as it came or as it is to go. The `message` crate reads and
//! writes those bytes. On the wire nothing differs from the `.proto` files,
//! which clients in other languages use as they are.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, rustdoc::all)]

/// The protobuf packages under `io`.
pub mod io {
    /// CloudEvents.
    pub mod cloudevents {
        /// The CloudEvents protobuf format, `io.cloudevents.v1`.
        pub mod v1 {
            tonic::include_proto!("io.cloudevents.v1");
        }
    }
}

/// Wissel's own API.
pub mod wissel {
    /// Version 1, `wissel.v1`.
    pub mod v1 {
        tonic::include_proto!("wissel.v1");
    }
}

/// The descriptors of every file, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
