//! The SDK: publish and subscribe in ten lines.
