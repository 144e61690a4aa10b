//! Subscriptions that follow subjects, and which.

use wissel_audit::Operation;
use wissel_identifiers::SubscriptionName;
use wissel_routing::SubjectMark;
use wissel_store::{Follow, Followed};

use crate::subscriptions::check_mandate;
use crate::{Broker, Caller, Fault, Reason, Refusal};

/// The most subjects that one call adds and takes away.
const CHANGES_MAX: usize = 10_000;
/// The most subjects that one subscription follows.
const FOLLOWED_MAX: u64 = 1_000_000;
/// The longest subject, in bytes.
const SUBJECT_MAX: usize = 1_024;

impl Broker {
    /// Adds to the subjects that a subscription follows, and takes from them. Messages
    /// published after the answer are routed by it. Of a subject, only what stands for it
    /// is kept.
    ///
    /// # Errors
    /// [`Reason::NotGranted`] for an operator;
    /// [`Reason::UnknownSubscription`] when there is none, or it is not the caller's;
    /// [`Reason::InvalidRequest`] when it does not follow subjects, or would follow too
    /// many, or a subject is none.
    pub async fn follow_subjects(
        &self,
        caller: &Caller,
        name: &SubscriptionName,
        add: &[String],
        remove: &[String],
    ) -> Result<Followed, Refusal> {
        check(add, remove)?;
        let _ticket = self.ticket()?;
        let _one_at_a_time = self.control.lock().await;
        if caller.is_operator() {
            // What was followed already would tell whom the party follows.
            return Err(Refusal::of_field(
                Reason::NotGranted,
                "name",
                "whom a subscription follows is known to its owner; call as that party",
            ));
        }
        let subscription = self.subscription(caller, name)?;
        check_mandate(caller, &subscription, &self.catalogue.load())?;
        if !subscription.follows {
            return Err(Refusal::of_field(
                Reason::InvalidRequest,
                "name",
                "this subscription does not follow subjects; expected one that was created to",
            ));
        }
        let marks = |subjects: &[String]| -> Vec<SubjectMark> {
            subjects.iter().map(|subject| self.router.subject_mark(subject)).collect()
        };
        let (add, remove) = (marks(add), marks(remove));
        let detail = format!(
            "subscription {name}: {} subjects to follow, {} no longer",
            add.len(),
            remove.len()
        );
        let inbox = Some(&subscription.inbox);
        self.keep_one(caller, Operation::SubscriptionChanged, inbox, detail).await?;
        let bytes = |marks: &[SubjectMark]| marks.iter().map(|mark| mark.to_bytes()).collect();
        let follow = Follow {
            subscription: name.clone(),
            add: bytes(&add),
            remove: bytes(&remove),
            max: FOLLOWED_MAX,
        };
        let followed = self.store.follow(follow).await?.ok_or_else(|| {
            Refusal::new(Reason::UnknownSubscription, format!("there is no subscription {name}"))
        })?;
        if followed.too_many {
            return Err(Refusal::of_field(
                Reason::InvalidRequest,
                "add",
                format!("the subscription would follow more than {FOLLOWED_MAX} subjects"),
            ));
        }
        self.router.change(|changes| {
            for mark in add {
                changes.follow(name, mark);
            }
            for mark in remove {
                changes.unfollow(name, mark);
            }
        });
        Ok(followed)
    }
}

/// The places of subjects that cannot be; none is shown, as it may be personal.
fn check(add: &[String], remove: &[String]) -> Result<(), Refusal> {
    let count = add.len() + remove.len();
    if count == 0 || count > CHANGES_MAX {
        let message = format!("{count} subjects in all; expected 1 to {CHANGES_MAX}");
        return Err(Refusal::of_field(Reason::InvalidRequest, "add", message));
    }
    let named = |field: &'static str, subjects: &[String]| -> Vec<Fault> {
        let places = subjects.iter().enumerate();
        let wrong = places.filter(|(_, subject)| {
            subject.is_empty() || subject.len() > SUBJECT_MAX || subject.contains(char::is_control)
        });
        let described = wrong.map(|(place, _)| Fault {
            field: format!("{field}[{place}]"),
            description: format!(
                "expected a subject: 1 to {SUBJECT_MAX} bytes, no control characters"
            ),
        });
        described.take(100).collect()
    };
    let faults: Vec<Fault> = named("add", add).into_iter().chain(named("remove", remove)).collect();
    if faults.is_empty() { Ok(()) } else { Err(Refusal::of_fields(Reason::InvalidRequest, faults)) }
}
