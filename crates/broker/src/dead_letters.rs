//! Looking at what was given up on, and mending it.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use tokio::time::Interval;
use wissel_audit::Operation;
use wissel_bus::{DeadLetter, DeadLetterId, DeadLetterWalk, Page, Selection};
use wissel_filter::{Condition, EventFacts, Filter, Operand};
use wissel_identifiers::InboxName;
use wissel_message::EventView;

use crate::subscriptions::FILTERS_MAX;
use crate::{Broker, Caller, Fault, Reason, Refusal, Role, clock, masked};

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every one that was there when the call began.
    All,
    /// These.
    These(Vec<DeadLetterId>),
    /// Those whose message matches all of these.
    Matching(Vec<Filter>),
    /// Those that were given up on for this reason, as [`masked`] has it.
    Because(String),
}

/// How dead letters are put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveOptions {
    /// Which.
    pub which: Which,
    /// In another inbox of the same owner; none: in the one in which they died.
    pub to: Option<InboxName>,
    /// At most so many in a second; none: as fast as it goes.
    pub per_second: Option<NonZeroU32>,
    /// Why, for the record. Numbers that may be a person's are masked there.
    pub why: Option<String>,
}

/// How many are looked at, or put back, together.
pub(crate) const AT_ONCE: usize = 500;

impl Broker {
    /// Dead letters of an inbox, oldest first.
    ///
    /// # Errors
    /// As [`Broker::inbox`].
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        name: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, Refusal> {
        let outcome = self.try_dead_letters(caller, name, page).await;
        self.unless_refused(caller, Operation::DeadLettersListed, Some(name), outcome).await
    }

    async fn try_dead_letters(
        &self,
        caller: &Caller,
        name: &InboxName,
        page: Page<DeadLetterId>,
    ) -> Result<Vec<DeadLetter>, Refusal> {
        let _ticket = self.ticket()?;
        self.check_may_look(caller, name)?;
        let detail = format!("at most {}", page.limit);
        self.keep_one(caller, Operation::DeadLettersListed, Some(name), detail).await?;
        Ok(self.bus.dead_letters(name, page).await?)
    }

    /// Puts dead letters back. Says how many, and tells `progress` how many so far.
    ///
    /// # Errors
    /// As [`Broker::inbox`]; [`Reason::NotGranted`] for an operator without the role
    /// [`Role::Operator`]; [`Reason::InvalidRequest`] for a filter or an inbox that cannot be
    /// used.
    pub async fn redrive(
        &self,
        caller: &Caller,
        name: &InboxName,
        options: RedriveOptions,
        progress: impl Fn(u64) + Send,
    ) -> Result<u64, Refusal> {
        let outcome = self.try_redrive(caller, name, options, progress).await;
        self.unless_refused(caller, Operation::DeadLettersRedriven, Some(name), outcome).await
    }

    async fn try_redrive(
        &self,
        caller: &Caller,
        name: &InboxName,
        options: RedriveOptions,
        progress: impl Fn(u64) + Send,
    ) -> Result<u64, Refusal> {
        let RedriveOptions { which, to, per_second, why } = options;
        let _ticket = self.ticket()?;
        self.check_may_mend(caller, name)?;
        let to = to.unwrap_or_else(|| name.clone());
        self.check_may_take_over(name, &to)?;
        let condition = which.condition(caller)?;
        let detail = with_reason(format!("{}, to {to}", which.described()), why.as_deref());
        let operation = Operation::DeadLettersRedriven;
        self.keep_mending(caller, operation, name, &which, detail).await?;

        let redriven = match (which.selection(), per_second) {
            (Some(selection), None) => self.bus.redrive(name, &selection, &to).await?,
            (_, per_second) => {
                let mut found = self.find(name, which, condition).await?;
                let mut pace = Pace::of(per_second);
                let redriving = async {
                    let mut redriven = 0;
                    while let Some(ids) = found.next().await? {
                        for ids in ids.chunks(pace.at_once()) {
                            pace.wait().await;
                            redriven += found.walk.redrive(ids, &to).await?;
                            progress(redriven);
                        }
                    }
                    found.walk.end().await;
                    Ok(redriven)
                };
                self.unless_stopping(redriving).await?
            }
        };
        self.metrics().redriven(redriven);
        tracing::info!(inbox = %name, %to, redriven, "dead letters redriven");
        Ok(redriven)
    }

    /// Removes dead letters for good. Says how many. Why is for the record, where numbers that
    /// may be a person's are masked.
    ///
    /// # Errors
    /// As [`Broker::redrive`].
    pub async fn purge_dead_letters(
        &self,
        caller: &Caller,
        name: &InboxName,
        which: Which,
        why: Option<&str>,
    ) -> Result<u64, Refusal> {
        let outcome = self.try_purge(caller, name, which, why).await;
        self.unless_refused(caller, Operation::DeadLettersPurged, Some(name), outcome).await
    }

    async fn try_purge(
        &self,
        caller: &Caller,
        name: &InboxName,
        which: Which,
        why: Option<&str>,
    ) -> Result<u64, Refusal> {
        let _ticket = self.ticket()?;
        self.check_may_mend(caller, name)?;
        let condition = which.condition(caller)?;
        let detail = with_reason(which.described(), why);
        self.keep_mending(caller, Operation::DeadLettersPurged, name, &which, detail).await?;
        let purged = match which.selection() {
            Some(selection) => self.bus.purge_dead_letters(name, &selection).await?,
            None => {
                let mut found = self.find(name, which, condition).await?;
                let purging = async {
                    let mut purged = 0;
                    while let Some(ids) = found.next().await? {
                        purged += found.walk.purge(&ids).await?;
                    }
                    found.walk.end().await;
                    Ok(purged)
                };
                self.unless_stopping(purging).await?
            }
        };
        self.metrics().purged(purged);
        tracing::info!(inbox = %name, purged, "dead letters purged");
        Ok(purged)
    }

    /// Does it, unless the broker stops before it is done.
    async fn unless_stopping(
        &self,
        mending: impl Future<Output = Result<u64, Refusal>>,
    ) -> Result<u64, Refusal> {
        let stopping = self.shutdown_token();
        let done = stopping.run_until_cancelled(mending).await;
        done.unwrap_or_else(|| Err(Refusal::shutting_down()))
    }

    /// Puts on record what is done with dead letters; with which message, when it is one, as
    /// afterwards it may be gone.
    async fn keep_mending(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &InboxName,
        which: &Which,
        detail: String,
    ) -> Result<(), Refusal> {
        let letter = match which {
            Which::These(ids) if ids.len() == 1 => self.bus.dead_letter(name, &ids[0]).await?,
            _ => None,
        };
        let message = letter.map(|letter| letter.envelope.message_id);
        self.keep_about(caller, operation, name, message, detail).await
    }

    /// Refuses whoever may not look at the messages of an inbox.
    pub(crate) fn check_may_look(&self, caller: &Caller, name: &InboxName) -> Result<(), Refusal> {
        self.check_inbox(caller, name)?;
        caller.check_may_receive_all(&self.catalogue.load())
    }

    /// Refuses whoever may not change what is in an inbox, or how it behaves.
    pub(crate) fn check_may_mend(&self, caller: &Caller, name: &InboxName) -> Result<(), Refusal> {
        caller.check_role(Role::Operator)?;
        self.check_may_look(caller, name)
    }

    /// What died in one inbox may go to another of its owner only: it was cut down to what
    /// that one may have.
    fn check_may_take_over(&self, name: &InboxName, to: &InboxName) -> Result<(), Refusal> {
        if to.owner() != name.owner() {
            let expected = "another party's; expected an inbox of the same owner";
            return Err(Refusal::of_field(Reason::InvalidRequest, "to_inbox", expected));
        }
        if self.inboxes.read().contains_key(to) { Ok(()) } else { Err(Refusal::unknown_inbox(to)) }
    }

    /// Begins to look for those that are meant.
    pub(crate) async fn find(
        &self,
        inbox: &InboxName,
        which: Which,
        condition: Condition,
    ) -> Result<Found<'_>, Refusal> {
        let now = clock::wall();
        let (selection, because, until) = match which {
            Which::These(ids) => (Selection::These(ids), None, None),
            Which::Because(reason) => (Selection::All, Some(reason), Some(now)),
            Which::All | Which::Matching(_) => (Selection::All, None, Some(now)),
        };
        let walk = self.bus.walk_dead_letters(inbox, &selection).await?;
        Ok(Found { walk, because, condition, until })
    }
}

/// Dead letters that are meant, found along a walk.
pub(crate) struct Found<'a> {
    pub(crate) walk: Box<dyn DeadLetterWalk + 'a>,
    because: Option<String>,
    condition: Condition,
    /// Those that died later are not meant; none: all are meant that the walk meets.
    until: Option<SystemTime>,
}

impl Found<'_> {
    /// Those that are meant among the next ones, which may be none of them; none when there are
    /// no next ones.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<DeadLetterId>>, Refusal> {
        let letters = self.walk.next(AT_ONCE).await?;
        if letters.is_empty() {
            return Ok(None);
        }
        let meant = letters.into_iter().filter(|letter| self.is_meant(letter));
        Ok(Some(meant.map(|letter| letter.id).collect()))
    }

    fn is_meant(&self, letter: &DeadLetter) -> bool {
        let Some(until) = self.until else { return true };
        letter.died_at <= until
            && self.because.as_ref().is_none_or(|because| *because == masked(&letter.reason))
            && EventView::decode(letter.envelope.event.clone())
                .is_ok_and(|event| self.condition.holds(&EventFacts::new(&event)))
    }
}

/// Lets so many pass in a second.
struct Pace(Option<(usize, Interval)>);

impl Pace {
    fn of(per_second: Option<NonZeroU32>) -> Self {
        const STEPS: u32 = 10;
        Self(per_second.map(|per_second| {
            let at_once = per_second.get().div_ceil(STEPS);
            let period =
                Duration::from_secs(1).mul_f64(f64::from(at_once) / f64::from(per_second.get()));
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            (at_once as usize, interval)
        }))
    }

    fn at_once(&self) -> usize {
        self.0.as_ref().map_or(AT_ONCE, |(at_once, _)| (*at_once).min(AT_ONCE))
    }

    async fn wait(&mut self) {
        if let Some((_, interval)) = &mut self.0 {
            interval.tick().await;
        }
    }
}

impl Which {
    /// What the bus can tell by itself.
    fn selection(&self) -> Option<Selection> {
        match self {
            Self::All => Some(Selection::All),
            Self::These(ids) => Some(Selection::These(ids.clone())),
            Self::Matching(_) | Self::Because(_) => None,
        }
    }

    pub(crate) fn described(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::These(ids) => format!("{} chosen", ids.len()),
            Self::Matching(filters) => format!("those that match {} filters", filters.len()),
            Self::Because(reason) => format!("those of reason {:?}", masked(reason)),
        }
    }

    /// What a message has to meet. An operator does not find out by trying what the subject
    /// of a message is, or what is in its data.
    pub(crate) fn condition(&self, caller: &Caller) -> Result<Condition, Refusal> {
        let Self::Matching(filters) = self else { return Ok(Condition::all([])) };
        check_amount(filters)?;
        let mut faults = Vec::new();
        let mut conditions = Vec::new();
        for (index, filter) in filters.iter().enumerate() {
            let mut fault = |place: &str, description: String| {
                let field = format!("filters[{index}]{place}");
                faults.push(Fault { field, description });
            };
            match filter.check().and_then(|()| filter.compile()) {
                Err(error) => fault(&format!(".{}", error.place), error.fault.to_string()),
                Ok(condition) => {
                    let hidden = filter.operands().iter().any(tells_of_persons);
                    if hidden && caller.is_operator() {
                        let expected = "looks at `id`, `source`, `subject` or `data`, which may tell \
                                        of persons and an operator does not; expected other \
                                        attributes";
                        fault("", expected.to_owned());
                    }
                    conditions.push(condition);
                }
            }
        }
        if faults.is_empty() {
            Ok(Condition::all(conditions))
        } else {
            Err(Refusal::of_fields(Reason::InvalidRequest, faults))
        }
    }
}

/// What is done, and why.
fn with_reason(what: String, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("{what}: {}", masked(why)),
        None => what,
    }
}

/// As many as a subscription may have, together no larger than one.
pub(crate) fn check_amount(filters: &[Filter]) -> Result<(), Refusal> {
    let refuse = |description: String| {
        Err(Refusal::of_field(Reason::InvalidRequest, "filters", description))
    };
    if filters.len() > FILTERS_MAX {
        return refuse(format!("expected at most {FILTERS_MAX} filters"));
    }
    match Filter::check_together(filters) {
        Err(error) if filters.iter().all(|filter| filter.check().is_ok()) => {
            refuse(format!("all filters together: {}", error.fault))
        }
        // Each is told at its place.
        _ => Ok(()),
    }
}

fn tells_of_persons(operand: &Operand) -> bool {
    match operand {
        Operand::Attribute(name) => matches!(&**name, "id" | "source" | "subject"),
        Operand::Data(_) => true,
    }
}
