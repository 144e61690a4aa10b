use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tonic::Extensions;
use tonic::metadata::MetadataMap;
use wissel_broker::{Caller, Operator, Reason, Refusal, Roles};
use wissel_identifiers::Oin;

/// Establishes who calls.
pub trait Authenticate: Send + Sync + 'static {
    /// Who calls, by the call's metadata, and by what the transport put in its
    /// extensions.
    ///
    /// # Errors
    /// [`Reason::Unauthenticated`], without a word of the secret.
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Identity, Refusal>;
}

/// Who calls, and whether that still holds.
pub struct Identity {
    /// Who calls.
    pub who: Who,
    still_valid: Arc<dyn Fn() -> Result<(), Refusal> + Send + Sync>,
}

/// Who calls, before it is known whether it acts for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A party.
    Party(Oin),
    /// An operator.
    Operator(Arc<Operator>),
}

/// The metadata key by which a party names the party that it acts for.
const ON_BEHALF_OF: &str = "wissel-on-behalf-of";
/// How long a stream may go on after what its caller proved itself with has ended.
const CHECKED_EVERY: Duration = Duration::from_millis(500);

impl Identity {
    /// One that holds as long as the call.
    #[must_use]
    pub fn of(who: Who) -> Self {
        Self::while_valid(who, || Ok(()))
    }

    /// One that can end: a certificate expires or is revoked, a token expires.
    /// `still_valid` is asked twice a second for every stream.
    pub fn while_valid(
        who: Who,
        still_valid: impl Fn() -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self { who, still_valid: Arc::new(still_valid) }
    }

    /// The caller: who calls, or the party that it says it acts for.
    pub(crate) fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        let principal = metadata.get(ON_BEHALF_OF).map(|value| {
            let text = value.to_str().unwrap_or_default();
            text.parse::<Oin>().map_err(|error| {
                Refusal::of_field(Reason::InvalidRequest, ON_BEHALF_OF, error.to_string())
            })
        });
        match (&self.who, principal.transpose()?) {
            (Who::Party(party), Some(principal)) if *party != principal => {
                Ok(Caller::Representative { party: *party, principal })
            }
            (Who::Party(party), _) => Ok(Caller::Party(*party)),
            (Who::Operator(operator), None) => Ok(Caller::Operator(Arc::clone(operator))),
            (Who::Operator(_), Some(_)) => {
                let description = "an operator acts for nobody; expected no such key";
                Err(Refusal::of_field(Reason::InvalidRequest, ON_BEHALF_OF, description))
            }
        }
    }

    /// Ends when what the caller proved itself with has.
    pub(crate) fn ended(&self) -> impl Future<Output = Refusal> + Send + 'static {
        let still_valid = Arc::clone(&self.still_valid);
        async move {
            let mut ticks = tokio::time::interval(CHECKED_EVERY);
            loop {
                ticks.tick().await;
                if let Err(refusal) = still_valid() {
                    return refusal;
                }
            }
        }
    }
}

/// Believes whoever says who they are: `authorization: Bearer dev.<OIN>` is that
/// party, `Bearer dev.operator` an operator with every role. For development only.
#[derive(Debug, Clone, Copy, Default)]
pub struct DevelopmentTokens;

impl Authenticate for DevelopmentTokens {
    fn authenticate(&self, metadata: &MetadataMap, _: &Extensions) -> Result<Identity, Refusal> {
        let expected = "expected the metadata `authorization: Bearer dev.<OIN>`";
        let token = bearer(metadata).ok_or_else(|| unauthenticated(expected))?;
        let name = token.strip_prefix("dev.").ok_or_else(|| unauthenticated(expected))?;
        if name == "operator" {
            let operator = Operator { name: None, oin: None, roles: Roles::ALL };
            return Ok(Identity::of(Who::Operator(Arc::new(operator))));
        }
        let party = name
            .parse()
            .map_err(|error| unauthenticated(&format!("the token names no party: {error}")))?;
        Ok(Identity::of(Who::Party(party)))
    }
}

/// The bearer token of a call. The scheme is compared without regard to case (RFC 7235).
pub(crate) fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let header = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

pub(crate) fn unauthenticated(message: &str) -> Refusal {
    Refusal::new(Reason::Unauthenticated, message)
}
