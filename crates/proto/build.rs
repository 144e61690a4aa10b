//! Compiles `proto/` with protox, so that no protoc has to be installed.
//!
//! One thing is changed on the way. A field of `wissel.v1` that holds a
//! `CloudEvent` is generated as `Bytes`: on the wire an embedded message and a
//! byte string are the same, and the gateway wants the bytes as they came, to
//! scan them once and to pass them on uncopied. The descriptor set that server
//! reflection shows is the unchanged one.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

const FILES: [&str; 11] = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "wissel/cloudevents/v1/cloudevents.proto",
    "wissel/v1/asking.proto",
    "wissel/v1/cases.proto",
    "wissel/v1/dossiers.proto",
    "wissel/v1/matching.proto",
    "wissel/v1/operations.proto",
    "wissel/v1/publishing.proto",
    "wissel/v1/subscribing.proto",
    "wissel/v1/subscriptions.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());

    let mut files = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;

    carry_events_as_bytes(&mut files);
    tonic_prost_build::configure()
        .bytes(".wissel.v1")
        .bytes(".io.cloudevents.v1")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(files)?;
    Ok(())
}

fn carry_events_as_bytes(files: &mut FileDescriptorSet) {
    for file in &mut files.file {
        if file.package() == "wissel.v1" {
            file.message_type.iter_mut().for_each(carry_events_of_message_as_bytes);
        }
    }
}

fn carry_events_of_message_as_bytes(message: &mut DescriptorProto) {
    for field in &mut message.field {
        if field.type_name() == ".io.cloudevents.v1.CloudEvent" {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    message.nested_type.iter_mut().for_each(carry_events_of_message_as_bytes);
}
