use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Extensions;
use tonic::metadata::MetadataMap;
use wissel_broker::{Operator, Refusal, Roles};
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
    /// Who are operators, and no parties; and what they may do.
    pub operators: BTreeMap<Oin, Roles>,
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
            (peer, Some(token), Some(tokens)) => self.by_token(peer, token, tokens),
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
            tls.check_still_valid(peer.proof()).map_err(of_peer)?;
        }
        Ok(peer)
    }

    fn by_certificate(&self, peer: Arc<Peer>) -> Identity {
        let who = self.who(peer.oin());
        Identity::while_valid(who, self.still_certified(Some(peer)))
    }

    /// By a token, and by a certificate as well when the connection has one: then both must
    /// hold as long as the call lasts.
    fn by_token(
        &self,
        peer: Option<Arc<Peer>>,
        token: &str,
        tokens: &Arc<TokenVerifier>,
    ) -> Result<Identity, Refusal> {
        let proof = tokens.prove(token).map_err(|fault| of_token(&fault))?;
        let party = proof.claims().party;
        if peer.as_ref().is_some_and(|peer| peer.oin() != party) {
            let message = "the token names another party than the client certificate";
            return Err(unauthenticated(message));
        }
        let tokens = Arc::clone(tokens);
        let still_certified = self.still_certified(peer);
        Ok(Identity::while_valid(self.who(party), move || {
            tokens.check_still_valid(&proof).map_err(|fault| of_token(&fault))?;
            still_certified()
        }))
    }

    /// Whether the certificate of a connection, when it has one, still holds.
    fn still_certified(
        &self,
        peer: Option<Arc<Peer>>,
    ) -> impl Fn() -> Result<(), Refusal> + Send + Sync + 'static {
        let tls = self.tls.clone();
        move || match (&tls, &peer) {
            (Some(tls), Some(peer)) => tls.check_still_valid(peer.proof()).map_err(of_peer),
            _ => Ok(()),
        }
    }

    fn who(&self, oin: Oin) -> Who {
        match self.operators.get(&oin) {
            Some(&roles) => Who::Operator(Arc::new(Operator { name: None, oin: Some(oin), roles })),
            None => Who::Party(oin),
        }
    }
}

fn of_peer(error: PeerError) -> Refusal {
    unauthenticated(&error.to_string())
}

fn of_token(fault: &TokenFault) -> Refusal {
    unauthenticated(&fault.to_string())
}
