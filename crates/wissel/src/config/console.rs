use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What operators see over HTTP.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    /// Where it listens; none: nowhere.
    pub(crate) listen: Option<SocketAddr>,
}
