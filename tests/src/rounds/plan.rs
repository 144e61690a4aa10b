//! What goes wrong in a round, and when: a pure function of a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wissel_testkit::Resource;

use crate::PARTIES;

/// The bus of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// On local disk, in the gateway's process.
    Embedded,
    /// On a RabbitMQ node of the test's own.
    RabbitMq,
}

/// A round, before it happens. The same seed gives the same plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What everything else follows from.
    pub seed: u64,
    /// The bus.
    pub bus: BusKind,
    /// Its number among the rounds that make the queues of a new RabbitMQ, from 0; none: its seed
    /// gives it.
    pub warm_up: Option<u64>,
    /// Messages of the publisher that waits for no receipt.
    pub stream_messages: u32,
    /// The time between two of them.
    pub stream_pace: Duration,
    /// Messages of each subject whose publisher waits for each receipt.
    pub lane_messages: u32,
    /// How long subscribers have to settle a delivery.
    pub lease: Duration,
    /// The habits of those who receive, inbox by inbox.
    pub habits: [Habits; PARTIES.len()],
    /// What goes wrong, by its time since the beginning.
    pub faults: Vec<Timed>,
}

/// How the subscribers of an inbox behave while nothing goes wrong. Shares are in
/// thousandths of the deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    /// How many there are.
    pub subscribers: u32,
    /// The most deliveries each has unsettled.
    pub credit: u32,
    /// Asked for once more.
    pub retried: u32,
    /// Given up on.
    pub rejected: u32,
    /// Never settled.
    pub forgotten: u32,
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Since the round began.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and started again after a while.
    KillGateway {
        /// How long it is away.
        away: Duration,
    },
    /// SIGSTOP and SIGCONT: every deadline in the gateway jumps.
    PauseGateway {
        /// By how much.
        jump: Duration,
    },
    /// kill -9, and started again.
    KillRabbitMq,
    /// Stopped in good order, and started again.
    StopRabbitMq,
    /// A connection between a publisher and the gateway breaks within a frame.
    CutPublisher(Cut),
    /// The connections between the subscribers of an inbox and the gateway break within a
    /// frame.
    CutSubscribers {
        /// The number of the inbox.
        inbox: usize,
        /// How.
        cut: Cut,
    },
    /// It has an alarm, and takes nothing from connections that publish.
    AlarmRabbitMq {
        /// What it is short of.
        of: Resource,
        /// How long.
        time: Duration,
    },
    /// The connections between the gateway and RabbitMQ break within a frame.
    CutBus(Cut),
    /// Nothing passes any more over the connections between the gateway and RabbitMQ, and
    /// neither is told.
    SilenceBus,
    /// The disk of the gateway takes nothing more, for a while.
    FillDisk {
        /// How long.
        full: Duration,
    },
    /// A publisher dies and forgets what it waited for.
    PublisherDies,
    /// The subscribers of an inbox do nothing for a while.
    SubscribersStall {
        /// The number of the inbox.
        inbox: usize,
        /// How long.
        time: Duration,
    },
    /// The subscribers of an inbox die with what they hold, and others come.
    SubscribersDie {
        /// The number of the inbox.
        inbox: usize,
    },
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// After so many more bytes, both directions counted.
    pub after_bytes: u32,
    /// With a reset, else with an end.
    pub reset: bool,
}

/// The least lease that the gateway grants: rounds in which leases are to end have it.
pub(super) const SHORT_LEASE: Duration = Duration::from_secs(1);
const LONG_LEASE: Duration = Duration::from_secs(30);
/// Faults fall within this time, in milliseconds.
const TURMOIL_MS: std::ops::Range<u64> = 60..700;

impl Plan {
    /// The round of this seed on this bus.
    #[must_use]
    pub fn of(seed: u64, bus: BusKind) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let count = match dice.random_range(0..100) {
            0..15 => 0,
            15..50 => 1,
            50..80 => 2,
            _ => 3,
        };
        let mut faults: Vec<Timed> = Vec::new();
        while faults.len() < count {
            let fault = Fault::any(&mut dice, bus);
            // What takes seconds happens once.
            if fault.is_slow() && faults.iter().any(|timed| timed.fault.is_slow()) {
                continue;
            }
            let at = Duration::from_millis(dice.random_range(TURMOIL_MS));
            faults.push(Timed { at, fault });
        }
        if let Some(due) = Timed::due(seed, bus) {
            due.takes_a_place(&mut faults);
        }
        faults.sort_by_key(|timed| timed.at);

        let leases_end = faults.iter().any(|timed| timed.fault.ends_leases());
        let stream_messages = dice.random_range(60..180);
        let habits = std::array::from_fn(|_| Habits::any(&mut dice, leases_end));
        Self {
            seed,
            bus,
            warm_up: None,
            stream_messages,
            stream_pace: Duration::from_micros(800_000 / u64::from(stream_messages)),
            lane_messages: dice.random_range(4..14),
            lease: if leases_end { SHORT_LEASE } else { LONG_LEASE },
            habits,
            faults,
        }
    }

    /// Whether nothing goes wrong: then nothing may come twice.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Timed {
    /// What RabbitMQ is put to in this round for certain: in any ten rounds it is killed, is
    /// stopped, and has an alarm.
    fn due(seed: u64, bus: BusKind) -> Option<Self> {
        const EVERY: u64 = 8;
        if bus == BusKind::Embedded {
            return None;
        }
        // Of its own, so that all else in the round is as the seed has it.
        let mut dice = StdRng::seed_from_u64(!seed);
        let fault = match seed % EVERY {
            0 => Fault::StopRabbitMq,
            2 => Fault::KillRabbitMq,
            4 => Fault::any_alarm(&mut dice),
            _ => return None,
        };
        let at = Duration::from_millis(dice.random_range(TURMOIL_MS));
        Some(Self { at, fault })
    }

    /// That of another that takes seconds, else of any other, else one more.
    fn takes_a_place(self, faults: &mut Vec<Self>) {
        let slow = faults.iter().position(|timed| timed.fault.is_slow());
        match faults.get_mut(slow.unwrap_or(0)) {
            Some(place) => *place = self,
            None => faults.push(self),
        }
    }
}

impl Habits {
    fn any(dice: &mut StdRng, leases_end: bool) -> Self {
        Self {
            subscribers: if dice.random_ratio(1, 3) { 2 } else { 1 },
            credit: *[3, 20, 200].get(dice.random_range(0..3)).unwrap_or(&20),
            retried: dice.random_range(0..80),
            rejected: dice.random_range(0..30),
            forgotten: if leases_end { dice.random_range(0..15) } else { 0 },
        }
    }
}

impl Fault {
    fn any(dice: &mut StdRng, bus: BusKind) -> Self {
        let inbox = dice.random_range(0..PARTIES.len());
        let milliseconds = |dice: &mut StdRng, range: std::ops::Range<u64>| {
            Duration::from_millis(dice.random_range(range))
        };
        let cut = Cut { after_bytes: dice.random_range(1..3_000), reset: dice.random_bool(0.5) };
        match (dice.random_range(0..100), bus) {
            (0..18, _) => Self::KillGateway { away: milliseconds(dice, 0..200) },
            (18..26, _) => Self::PauseGateway { jump: milliseconds(dice, 1_050..1_500) },
            (26..42, _) => Self::CutPublisher(cut),
            (42..56, _) => Self::CutSubscribers { inbox, cut },
            (56..64, _) => Self::PublisherDies,
            (64..72, _) => Self::SubscribersStall { inbox, time: milliseconds(dice, 1_000..1_400) },
            (72..82, _) => Self::SubscribersDie { inbox },
            (82..90, BusKind::Embedded) | (82..84, BusKind::RabbitMq) => {
                Self::FillDisk { full: milliseconds(dice, 100..500) }
            }
            (84..92, BusKind::RabbitMq) => Self::CutBus(cut),
            (92..95, BusKind::RabbitMq) => Self::SilenceBus,
            (95.., BusKind::RabbitMq) => Self::any_alarm(dice),
            (_, BusKind::Embedded) => Self::KillGateway { away: milliseconds(dice, 0..200) },
            (_, BusKind::RabbitMq) => Self::CutBus(cut),
        }
    }

    fn any_alarm(dice: &mut StdRng) -> Self {
        let of = if dice.random_bool(0.5) { Resource::Disk } else { Resource::Memory };
        Self::AlarmRabbitMq { of, time: Duration::from_millis(dice.random_range(300..2_000)) }
    }

    /// What it is counted as.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KillGateway { .. } => "gateway killed",
            Self::PauseGateway { .. } => "deadlines of the gateway jumped",
            Self::KillRabbitMq => "RabbitMQ killed",
            Self::StopRabbitMq => "RabbitMQ stopped and started",
            Self::AlarmRabbitMq { .. } => "RabbitMQ out of disk or memory",
            Self::CutPublisher(_) => "connection of a publisher cut",
            Self::CutSubscribers { .. } => "connections of subscribers cut",
            Self::CutBus(_) => "connections to RabbitMQ cut",
            Self::SilenceBus => "connections to RabbitMQ fell silent",
            Self::FillDisk { .. } => "disk full",
            Self::PublisherDies => "publisher died",
            Self::SubscribersStall { .. } => "subscribers stalled",
            Self::SubscribersDie { .. } => "subscribers died",
        }
    }

    /// Whether it takes longer than a round without it.
    fn is_slow(self) -> bool {
        matches!(
            self,
            Self::KillRabbitMq
                | Self::StopRabbitMq
                | Self::AlarmRabbitMq { .. }
                | Self::SilenceBus
                | Self::PauseGateway { .. }
                | Self::FillDisk { .. }
                | Self::SubscribersStall { .. }
        )
    }

    fn ends_leases(self) -> bool {
        matches!(self, Self::PauseGateway { .. } | Self::SubscribersStall { .. })
    }

    /// Whether a message that was published before it may be taken for a new one after it:
    /// the gateway forgot, or does not know whether its bus has it. An alarm of RabbitMQ is no
    /// reason: the gateway waits for longer than it lasts, also when its caller does not, and
    /// who publishes again meanwhile waits with it.
    #[must_use]
    pub fn may_make_a_second_message(&self) -> bool {
        matches!(
            self,
            Self::KillGateway { .. }
                | Self::KillRabbitMq
                | Self::StopRabbitMq
                | Self::CutBus(_)
                | Self::SilenceBus
                | Self::FillDisk { .. }
        )
    }

    /// Whether it befalls those who receive, and neither the gateway nor its bus.
    #[must_use]
    pub fn is_of_receivers(&self) -> bool {
        matches!(
            self,
            Self::CutSubscribers { .. }
                | Self::SubscribersStall { .. }
                | Self::SubscribersDie { .. }
        )
    }

    /// Whether a settlement in this inbox may be lost by it. An alarm of RabbitMQ makes those
    /// wait that publish, and loses none.
    #[must_use]
    pub fn may_lose_a_settlement(&self, of: usize) -> bool {
        match self {
            Self::CutSubscribers { inbox, .. }
            | Self::SubscribersStall { inbox, .. }
            | Self::SubscribersDie { inbox } => *inbox == of,
            Self::CutPublisher(_) | Self::PublisherDies | Self::AlarmRabbitMq { .. } => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats() {
        for seed in 0..200 {
            let plan = Plan::of(seed, BusKind::RabbitMq);
            assert_eq!(plan, Plan::of(seed, BusKind::RabbitMq));
            assert_ne!(plan, Plan::of(seed + 1, BusKind::RabbitMq));
        }
    }

    #[test]
    fn every_kind_of_fault_is_planned() {
        let kinds = |bus| -> std::collections::BTreeSet<&str> {
            let plans = (0..1_000).map(|seed| Plan::of(seed, bus));
            plans.flat_map(|plan| plan.faults).map(|timed| timed.fault.kind()).collect()
        };
        assert_eq!(kinds(BusKind::Embedded).len(), 8);
        assert_eq!(kinds(BusKind::RabbitMq).len(), 13);
    }

    #[test]
    fn in_any_ten_rounds_rabbitmq_is_killed_and_stopped_and_has_an_alarm() {
        let kinds: Vec<Vec<&str>> = (0..300)
            .map(|seed| Plan::of(seed, BusKind::RabbitMq))
            .map(|plan| plan.faults.iter().map(|timed| timed.fault.kind()).collect())
            .collect();
        for ten in kinds.windows(10).map(<[_]>::concat) {
            for due in ["RabbitMQ killed", "RabbitMQ stopped", "RabbitMQ out of"] {
                assert!(ten.iter().any(|kind| kind.starts_with(due)), "no {due} in {ten:?}");
            }
        }
    }

    #[test]
    fn what_takes_seconds_happens_once_in_a_round() {
        for plan in (0..1_000).map(|seed| Plan::of(seed, BusKind::RabbitMq)) {
            let slow = plan.faults.iter().filter(|timed| timed.fault.is_slow()).count();
            assert!(slow <= 1 && plan.faults.len() <= 3, "{plan}");
        }
    }

    #[test]
    fn some_rounds_are_calm() {
        let calm = (0..1_000).filter(|seed| Plan::of(*seed, BusKind::Embedded).is_calm()).count();
        assert!((100..200).contains(&calm), "{calm} of 1,000");
    }
}
