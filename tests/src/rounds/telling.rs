//! A round in words, for whoever reads what was planned, or what went wrong.

use std::fmt;

use wissel_testkit::Resource;

use super::plan::{BusKind, Cut, Fault, Habits, Plan, Timed};
use crate::PARTIES;

/// Whose the inboxes are, by their numbers.
const OWNERS: [&str; PARTIES.len()] = ["Utrecht", "Zwolle", "Agency"];

impl Plan {
    /// By what it is known in a list: its seed, or its number among those that come before all
    /// seeds.
    #[must_use]
    pub fn name(&self) -> String {
        match self.warm_up {
            None => self.seed.to_string(),
            Some(number) => format!("warm-up-{number}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, bus, stream_messages, lane_messages, lease, .. } = self;
        match self.warm_up {
            None => write!(f, "seed {seed} on {bus}: ")?,
            Some(number) => write!(
                f,
                "warm-up {number} on {bus}, of no seed: rounds on a new RabbitMQ begin with it: "
            )?,
        }
        write!(f, "{stream_messages} messages, {lane_messages} a subject, lease {lease:?}")?;
        for (owner, habits) in OWNERS.iter().zip(&self.habits) {
            write!(f, "\n  {owner}: {habits}")?;
        }
        for Timed { at, fault } in &self.faults {
            write!(f, "\n  after {at:?}: {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Habits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscribers, credit, retried, rejected, forgotten } = self;
        write!(
            f,
            "{subscribers} to receive, credit {credit}; of 1,000 deliveries {retried} asked for \
             again, {rejected} rejected, {forgotten} forgotten"
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        let of = |inbox: &usize| OWNERS.get(*inbox).copied().unwrap_or("nobody");
        match self {
            Self::KillGateway { away } => write!(f, ", away for {away:?}"),
            Self::PauseGateway { jump } => write!(f, " by {jump:?}"),
            Self::CutPublisher(cut) | Self::CutBus(cut) => write!(f, " {cut}"),
            Self::CutSubscribers { inbox, cut } => write!(f, " {cut}: {}", of(inbox)),
            Self::AlarmRabbitMq { of: Resource::Disk, time } => write!(f, ": disk, for {time:?}"),
            Self::AlarmRabbitMq { of: Resource::Memory, time } => {
                write!(f, ": memory, for {time:?}")
            }
            Self::FillDisk { full } => write!(f, " for {full:?}"),
            Self::SubscribersStall { inbox, time } => write!(f, " for {time:?}: {}", of(inbox)),
            Self::SubscribersDie { inbox } => write!(f, ": {}", of(inbox)),
            Self::KillRabbitMq | Self::StopRabbitMq | Self::SilenceBus | Self::PublisherDies => {
                Ok(())
            }
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after_bytes, reset } = self;
        let how = if *reset { "with a reset" } else { "with an end" };
        write!(f, "after {after_bytes} bytes {how}")
    }
}

impl fmt::Display for BusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::RabbitMq => "rabbitmq",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_words_and_a_warm_up_by_no_seed() {
        for plan in (0..300).map(|seed| Plan::of(seed, BusKind::RabbitMq)) {
            let text = plan.to_string();
            assert!(text.starts_with(&format!("seed {} on rabbitmq: ", plan.seed)), "{text}");
            assert!(!text.contains(['{', '(', '_']), "{text}");
            assert!(PARTIES.iter().all(|party| !text.contains(party)), "{text}");
        }
        let warm_up = Plan { warm_up: Some(3), ..Plan::of(7, BusKind::RabbitMq) };
        let text = warm_up.to_string();
        assert!(text.starts_with("warm-up 3 on rabbitmq") && !text.contains("seed 7"), "{text}");
        assert_eq!(warm_up.name(), "warm-up-3");
    }
}
