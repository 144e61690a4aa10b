//! Who is signed in. It is all in memory: a restart ends every session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wissel_broker::{Caller, Operator, Roles};
use wissel_identity::ProvenChain;

use crate::access::secret::{Digest, unguessable};

/// How long operators stay signed in.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// How long a session may lie idle.
    pub idle: Duration,
    /// How long it lasts at most.
    pub lasts: Duration,
    /// How many there are at most; then nobody more signs in.
    pub most: usize,
}

/// An operator, as a proof told of them.
pub(crate) struct Identity {
    /// Who it is, and what they may do.
    pub(crate) operator: Arc<Operator>,
    /// How they proved who they are: `oidc`, `certificate` or `development`.
    pub(crate) method: &'static str,
    /// The certificate without which the session is nothing.
    pub(crate) certificate: Option<Arc<ProvenChain>>,
}

/// A session as it was found.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) identity: Arc<Identity>,
    /// The token that every form carries.
    pub(crate) csrf: Arc<str>,
}

impl Identity {
    pub(crate) fn new(
        name: &str,
        roles: Roles,
        method: &'static str,
        certificate: Option<Arc<ProvenChain>>,
    ) -> Self {
        let operator = Operator { name: Some(name.into()), oin: None, roles };
        Self { operator: Arc::new(operator), method, certificate }
    }

    /// What they are called.
    pub(crate) fn name(&self) -> &str {
        self.operator.name.as_deref().unwrap_or_default()
    }

    /// They, as the broker knows them.
    pub(crate) fn caller(&self) -> Caller {
        Caller::Operator(Arc::clone(&self.operator))
    }
}

impl Session {
    /// One that was not begun by signing in.
    pub(crate) fn of(identity: Identity) -> Self {
        Self { identity: Arc::new(identity), csrf: unguessable().into() }
    }
}

pub(crate) struct Sessions {
    options: SessionOptions,
    kept: Mutex<HashMap<Digest, Kept>>,
}

struct Kept {
    session: Session,
    begun: Instant,
    used: Instant,
}

/// There are as many sessions as there may be.
#[derive(Debug)]
pub(crate) struct TooManySessions;

impl Sessions {
    pub(crate) fn new(options: SessionOptions) -> Self {
        Self { options, kept: Mutex::default() }
    }

    /// Begins one. Gives its id, which is nowhere else from then on but with the browser.
    pub(crate) fn begin(&self, identity: Identity) -> Result<String, TooManySessions> {
        self.begin_at(identity, Instant::now())
    }

    fn begin_at(&self, identity: Identity, now: Instant) -> Result<String, TooManySessions> {
        let mut kept = self.kept.lock();
        if kept.len() >= self.options.most {
            kept.retain(|_, one| !one.is_over(&self.options, now));
        }
        if kept.len() >= self.options.most {
            return Err(TooManySessions);
        }
        let id = unguessable();
        let session = Session::of(identity);
        kept.insert(Digest::of(&id), Kept { session, begun: now, used: now });
        Ok(id)
    }

    /// The session of this id, when it is not over. It counts as used.
    pub(crate) fn find(&self, id: &str) -> Option<Session> {
        self.find_at(id, Instant::now())
    }

    fn find_at(&self, id: &str, now: Instant) -> Option<Session> {
        let digest = Digest::of(id);
        let mut kept = self.kept.lock();
        let one = kept.get_mut(&digest)?;
        if one.is_over(&self.options, now) {
            kept.remove(&digest);
            return None;
        }
        one.used = now;
        Some(one.session.clone())
    }

    /// Ends one. Gives whose it was.
    pub(crate) fn end(&self, id: &str) -> Option<Arc<Identity>> {
        self.kept.lock().remove(&Digest::of(id)).map(|one| one.session.identity)
    }
}

impl Kept {
    fn is_over(&self, options: &SessionOptions, now: Instant) -> bool {
        now.duration_since(self.used) >= options.idle
            || now.duration_since(self.begun) >= options.lasts
    }
}

impl Default for SessionOptions {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self { idle: minutes(30), lasts: minutes(8 * 60), most: 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use wissel_broker::Role;

    use super::*;

    fn anna() -> Identity {
        Identity::new("anna", Role::Viewer.into(), "development", None)
    }

    #[test]
    fn a_session_ends_when_it_is_idle_when_it_is_old_and_when_it_is_ended() {
        let sessions = Sessions::new(SessionOptions::default());
        let now = Instant::now();
        let minutes = |minutes: u64| now + Duration::from_secs(minutes * 60);
        let id = sessions.begin_at(anna(), now).unwrap();
        assert_eq!(sessions.find_at(&id, minutes(29)).unwrap().identity.name(), "anna");
        assert!(sessions.find_at(&id, minutes(58)).is_some());
        assert!(sessions.find_at(&id, minutes(88)).is_none(), "idle");
        assert!(sessions.find_at(&id, minutes(60)).is_none(), "it does not come back");

        let id = sessions.begin_at(anna(), now).unwrap();
        for minute in (20..480).step_by(20) {
            assert!(sessions.find_at(&id, minutes(minute)).is_some(), "{minute}");
        }
        assert!(sessions.find_at(&id, minutes(480)).is_none(), "old");

        let id = sessions.begin_at(anna(), now).unwrap();
        let other = sessions.begin_at(anna(), now).unwrap();
        assert_eq!(sessions.end(&id).unwrap().name(), "anna");
        assert!(sessions.find_at(&id, now).is_none() && sessions.end(&id).is_none());
        assert!(sessions.find_at(&other, now).is_some() && sessions.find_at("", now).is_none());
    }

    #[test]
    fn there_are_so_many_and_those_that_are_over_make_room() {
        let sessions = Sessions::new(SessionOptions { most: 2, ..SessionOptions::default() });
        let now = Instant::now();
        let first = sessions.begin_at(anna(), now).unwrap();
        let second = sessions.begin_at(anna(), now).unwrap();
        assert_ne!(first, second);
        assert!(sessions.begin_at(anna(), now).is_err());
        let later = now + Duration::from_secs(30 * 60);
        assert!(sessions.begin_at(anna(), later).is_ok());
        assert_eq!(sessions.kept.lock().len(), 1);
    }
}
