//! Looking at what waits in an inbox; and at dead letters before they are mended: by reason,
//! one by one, and how many a choice means.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use wissel_audit::Operation;
use wissel_bus::{DeadLetter, DeadLetterId, Page, Unsettled};
use wissel_catalogue::Action;
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use crate::dead_letters::AT_ONCE;
use crate::policy::Policy;
use crate::session::entitled::entitled;
use crate::{Broker, Caller, InboxSettings, Reason, Refusal, Which, masked};

/// Dead letters that were given up on for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The reason, as [`masked`] has it.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the first died, and the last.
    pub died: (SystemTime, SystemTime),
    /// The event types among them, at most [`Group::TYPES`].
    pub event_types: Vec<String>,
}

impl Group {
    /// How many event types are told of.
    pub const TYPES: usize = 3;
}

/// Some of the dead letters of an inbox, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many were looked at.
    pub at: u64,
    /// Whether those were all.
    pub all: bool,
    /// By reason, the most frequent first.
    pub groups: Vec<Group>,
    /// The oldest of them.
    pub oldest: Vec<DeadLetter>,
}

impl Broker {
    /// Looks at the dead letters of an inbox, from the oldest or from behind one on, for as
    /// long as `patience`, but at 500 or 4 MiB of them in any case: by reason, and the first
    /// `shown` of them as they are.
    ///
    /// # Errors
    /// As [`Broker::inbox`].
    pub async fn look_at_dead_letters(
        &self,
        caller: &Caller,
        name: &InboxName,
        after: Option<DeadLetterId>,
        patience: Duration,
        shown: usize,
    ) -> Result<Looked, Refusal> {
        let begun = Instant::now();
        let mut page = Page { after, limit: AT_ONCE };
        let mut letters = self.dead_letters(caller, name, page.clone()).await?;
        let mut looked = Looked::default();
        let mut groups = HashMap::new();
        loop {
            group(&letters, &mut groups);
            looked.at += letters.len() as u64;
            looked.all = !page.is_full(&letters);
            page.after = letters.last().map(|last| last.id.clone());
            let room = shown - looked.oldest.len();
            looked.oldest.extend(letters.into_iter().take(room));
            if looked.all || begun.elapsed() >= patience {
                break;
            }
            letters = self.bus.dead_letters(name, page.clone()).await?;
        }
        looked.groups = groups.into_values().collect();
        looked.groups.sort_by(|one, other| {
            other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason))
        });
        Ok(looked)
    }

    /// The first messages of an inbox that are not settled, at most `most`, and none behind that
    /// with which they are [`PAGE_BYTES`](wissel_bus::PAGE_BYTES); see
    /// [`Bus::browse`](wissel_bus::Bus::browse) for which a bus can show.
    ///
    /// # Errors
    /// As [`Broker::inbox`].
    pub async fn browse(
        &self,
        caller: &Caller,
        name: &InboxName,
        most: usize,
    ) -> Result<Vec<Unsettled>, Refusal> {
        let outcome = self.try_browse(caller, name, most).await;
        self.unless_refused(caller, Operation::InboxBrowsed, Some(name), outcome).await
    }

    /// Whether [`Broker::browse`] shows retries that wait, or the bus can only count them.
    #[must_use]
    pub fn shows_retries(&self) -> bool {
        self.bus.shows_retries()
    }

    async fn try_browse(
        &self,
        caller: &Caller,
        name: &InboxName,
        most: usize,
    ) -> Result<Vec<Unsettled>, Refusal> {
        let _ticket = self.ticket()?;
        self.check_may_look(caller, name)?;
        let detail = format!("at most {most}");
        self.keep_one(caller, Operation::InboxBrowsed, Some(name), detail).await?;
        let mut found = self.bus.browse(name, most).await?;
        if !caller.is_operator() {
            self.keep_entitled(caller, name, &mut found);
        }
        Ok(found)
    }

    /// Leaves out what the owner of an inbox may no longer have.
    fn keep_entitled(&self, caller: &Caller, name: &InboxName, found: &mut Vec<Unsettled>) {
        let catalogue = self.catalogue();
        let policy = Policy::of(&InboxSettings::default(), &self.options.delivery);
        found.retain(|one| {
            let may =
                |event_type: &str| caller.check_mandate(&catalogue, Action::Receive, event_type);
            let (owner, questions) = (name.owner(), &self.questions);
            entitled(owner, &policy, &one.envelope, &catalogue, questions, may).is_ok()
        });
    }

    /// One dead letter.
    ///
    /// # Errors
    /// As [`Broker::inbox`]; [`Reason::UnknownMessage`] when there is none of this id.
    pub async fn dead_letter(
        &self,
        caller: &Caller,
        name: &InboxName,
        id: &DeadLetterId,
    ) -> Result<DeadLetter, Refusal> {
        let may = self.check_may_look(caller, name);
        let operation = Operation::DeadLettersListed;
        let outcome = self.show_one(caller, operation, name, id, may, "one".to_owned()).await;
        self.unless_refused(caller, operation, Some(name), outcome).await
    }

    /// One dead letter, for whoever is to see it whole and says why. Numbers in the reason that
    /// may be a person's are masked on record.
    ///
    /// # Errors
    /// As [`Broker::dead_letter`]; [`Reason::NotGranted`] for an operator without the role
    /// [`Role::Operator`](crate::Role::Operator); [`Reason::InvalidRequest`] without a reason.
    pub async fn unmask_dead_letter(
        &self,
        caller: &Caller,
        name: &InboxName,
        id: &DeadLetterId,
        why: &str,
    ) -> Result<DeadLetter, Refusal> {
        let may = self.check_may_mend(caller, name).and_then(|()| match why.trim() {
            "" => Err(Refusal::of_field(Reason::InvalidRequest, "why", "expected a reason")),
            _ => Ok(()),
        });
        let operation = Operation::DeadLetterUnmasked;
        let outcome = self.show_one(caller, operation, name, id, may, masked(why.trim())).await;
        self.unless_refused(caller, operation, Some(name), outcome).await
    }

    /// Finds a dead letter, and puts on record who sees which before they do.
    async fn show_one(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &InboxName,
        id: &DeadLetterId,
        may: Result<(), Refusal>,
        detail: String,
    ) -> Result<DeadLetter, Refusal> {
        let _ticket = self.ticket()?;
        may?;
        let found = self.bus.dead_letter(name, id).await?;
        let letter =
            found.ok_or_else(|| Refusal::new(Reason::UnknownMessage, "no such dead letter"))?;
        let message = Some(letter.envelope.message_id);
        self.keep_about(caller, operation, name, message, detail).await?;
        Ok(letter)
    }

    /// How many dead letters are meant, for somebody who is about to mend them, looking for as
    /// long as `patience`; and whether those that were looked at are all.
    ///
    /// # Errors
    /// As [`Broker::redrive`].
    pub async fn count_dead_letters(
        &self,
        caller: &Caller,
        name: &InboxName,
        which: Which,
        patience: Duration,
    ) -> Result<(u64, bool), Refusal> {
        let outcome = self.try_count(caller, name, which, patience).await;
        self.unless_refused(caller, Operation::DeadLettersListed, Some(name), outcome).await
    }

    async fn try_count(
        &self,
        caller: &Caller,
        name: &InboxName,
        which: Which,
        patience: Duration,
    ) -> Result<(u64, bool), Refusal> {
        let begun = Instant::now();
        let _ticket = self.ticket()?;
        self.check_may_mend(caller, name)?;
        if which == Which::All {
            return Ok((self.bus.inspect(name).await?.dead_letters, true));
        }
        let condition = which.condition(caller)?;
        self.keep_one(caller, Operation::DeadLettersListed, Some(name), which.described()).await?;
        let mut found = self.find(name, which, condition).await?;
        let (mut count, mut all) = (0, true);
        while let Some(ids) = found.next().await? {
            count += ids.len() as u64;
            if begun.elapsed() >= patience {
                // The walk ends by itself, which takes a while where much is to go back.
                all = false;
                break;
            }
        }
        if all {
            found.walk.end().await;
        }
        Ok((count, all))
    }
}

/// Adds dead letters to those of their reasons.
fn group(letters: &[DeadLetter], groups: &mut HashMap<String, Group>) {
    for letter in letters {
        let reason = masked(&letter.reason);
        let died = letter.died_at;
        let group = groups.entry(reason.clone()).or_insert_with(|| Group {
            reason,
            count: 0,
            died: (died, died),
            event_types: Vec::new(),
        });
        group.count += 1;
        group.died = (group.died.0.min(died), group.died.1.max(died));
        if group.event_types.len() < Group::TYPES
            && let Ok(event) = EventView::decode(letter.envelope.event.clone())
            && !group.event_types.iter().any(|one| one == event.event_type())
        {
            group.event_types.push(event.event_type().to_owned());
        }
    }
}
