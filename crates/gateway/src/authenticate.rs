use std::sync::Arc;

use tonic::metadata::MetadataMap;
use wissel_broker::{Caller, Reason, Refusal};
use wissel_identifiers::Oin;

/// Establishes who calls.
pub trait Authenticate: Send + Sync + 'static {
    /// Who calls, by the call's metadata.
    ///
    /// # Errors
    /// [`Reason::Unauthenticated`], without a word of the secret.
    fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, Refusal>;
}

/// Believes whoever says who they are: `authorization: Bearer dev.<OIN>` is that
/// party, `Bearer dev.operator` an operator. For development only.
pub struct DevelopmentTokens {
    is_party: Arc<dyn Fn(&Oin) -> bool + Send + Sync>,
}

impl DevelopmentTokens {
    /// Takes the parties that `is_party` knows.
    pub fn new(is_party: impl Fn(&Oin) -> bool + Send + Sync + 'static) -> Self {
        Self { is_party: Arc::new(is_party) }
    }
}

impl Authenticate for DevelopmentTokens {
    fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        let header = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let name = header.and_then(|header| header.strip_prefix("Bearer dev."));
        let Some(name) = name else {
            return Err(unauthenticated("expected the metadata `authorization: Bearer dev.<OIN>`"));
        };
        if name == "operator" {
            return Ok(Caller::Operator);
        }
        let party: Oin = name
            .parse()
            .map_err(|error| unauthenticated(&format!("the token names no party: {error}")))?;
        if (self.is_party)(&party) {
            Ok(Caller::Party(party))
        } else {
            Err(unauthenticated("the token names no party of the catalogue"))
        }
    }
}

fn unauthenticated(message: &str) -> Refusal {
    Refusal::new(Reason::Unauthenticated, message)
}
