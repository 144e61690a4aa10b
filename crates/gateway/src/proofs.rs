use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use tonic::Extensions;
use tonic::metadata::MetadataMap;
use wissel_broker::Refusal;
use wissel_identifiers::Oin;
use wissel_identity::{Peer, PeerError, ServerTls, TokenFault, TokenVerifier};

use crate::authenticate::{Authenticate, Identity, Who, bearer, unauthenticated};
use crate::connection::ConnectionInfo;

/// Knows callers by what they prove: a client certificate, or a bearer token.
pub struct Proofs {
    /// What client certificates were held against.
    pub tls: Option<Arc<ServerTls>>,
    /// What bearer tokens are held against.
    pub tokens: Option<Arc<TokenVerifier>>,
    /// Who are operators, and no parties.
    pub operators: BTreeSet<Oin>,
}

impl Authenticate for Proofs {
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Identity, Refusal> {
        let peer = extensions.get::<ConnectionInfo>().and_then(|info| info.0.as_ref());
        let peer = peer.map(|peer| self.peer(peer)).transpose()?;
        let token = bearer(metadata);
        match (peer, token, &self.tokens) {
            (_, Some(_), None) => Err(unauthenticated("bearer tokens are not taken here")),
            (peer, Some(token), Some(tokens)) => {
                self.by_token(peer.as_deref().map(Peer::oin), token, tokens)
            }
            (Some(peer), None, _) => Ok(self.by_certificate(peer)),
            (None, None, Some(_)) => Err(unauthenticated(
                "expected a client certificate with an OIN, or a bearer token in `authorization`",
            )),
            (None, None, None) => Err(unauthenticated("expected a client certificate with an OIN")),
        }
    }
}

impl Proofs {
    fn peer(&self, peer: &Result<Arc<Peer>, PeerError>) -> Result<Arc<Peer>, Refusal> {
        let peer = peer.clone().map_err(of_peer)?;
        if let Some(tls) = &self.tls {
            tls.check_still_valid(&peer).map_err(of_peer)?;
        }
        Ok(peer)
    }

    fn by_certificate(&self, peer: Arc<Peer>) -> Identity {
        let who = self.who(peer.oin());
        let tls = self.tls.clone();
        Identity::while_valid(who, move || match &tls {
            Some(tls) => tls.check_still_valid(&peer).map_err(of_peer),
            None => Ok(()),
        })
    }

    fn by_token(
        &self,
        certified: Option<Oin>,
        token: &str,
        tokens: &TokenVerifier,
    ) -> Result<Identity, Refusal> {
        let claims = tokens.verify(token).map_err(|fault| of_token(&fault))?;
        if certified.is_some_and(|oin| oin != claims.party) {
            let message = "the token names another party than the client certificate";
            return Err(unauthenticated(message));
        }
        let expires_at = claims.expires_at;
        Ok(Identity::while_valid(self.who(claims.party), move || {
            if SystemTime::now() < expires_at {
                Ok(())
            } else {
                Err(of_token(&TokenFault::Expired))
            }
        }))
    }

    fn who(&self, oin: Oin) -> Who {
        if self.operators.contains(&oin) { Who::Operator(Some(oin)) } else { Who::Party(oin) }
    }
}

fn of_peer(error: PeerError) -> Refusal {
    unauthenticated(&error.to_string())
}

fn of_token(fault: &TokenFault) -> Refusal {
    unauthenticated(&fault.to_string())
}
