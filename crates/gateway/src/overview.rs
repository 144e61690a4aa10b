//! How all inboxes fare together, on the wire.

use std::time::{Duration, SystemTime};

use wissel_broker::{Broker, Caller, Inbox, InboxSettings, Order, Refusal, Surveyed, Totals};
use wissel_metrics::Quantiles;
use wissel_proto::wissel::v1 as pb;

use crate::fields::{invalid, timestamp, to_duration};
use crate::operations::write_inbox;

const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 1_000;
const AGE_DEFAULT: Duration = Duration::from_secs(10);
const AGE_LEAST: Duration = Duration::from_millis(500);

pub(crate) async fn get(
    broker: &Broker,
    caller: Caller,
    asked: pb::GetOverviewRequest,
) -> Result<pb::GetOverviewResponse, Refusal> {
    let order = read_order(asked.order)?;
    let max_age = asked.max_age.map(Duration::try_from).transpose();
    let max_age = max_age.map_err(|_| invalid("max_age", "not a positive duration"))?;
    let limit = match asked.page_size {
        0 => PAGE_DEFAULT,
        size => size.min(PAGE_MAX),
    };
    let survey = broker.survey(max_age.unwrap_or(AGE_DEFAULT).max(AGE_LEAST)).await;
    let now = SystemTime::now();
    let inboxes = order.first(survey.seen_by(&caller), asked.skip as usize, limit as usize);
    let rates = survey.rates;
    Ok(pb::GetOverviewResponse {
        taken_at: survey.taken_at.and_then(timestamp),
        totals: Some(write_totals(&Totals::of(survey.seen_by(&caller), now), now)),
        traffic: caller.is_operator().then(|| pb::Traffic {
            messages_per_second: rates.messages_per_second,
            enqueued_per_second: rates.enqueued_per_second,
            handed_out_per_second: rates.handed_out_per_second,
            receipt: write_latency(&rates.receipt),
            delivery: write_latency(&rates.delivery),
        }),
        inboxes: inboxes.into_iter().map(|one| write_activity(one, now)).collect(),
    })
}

fn read_order(order: i32) -> Result<Order, Refusal> {
    let known = pb::InboxOrder::try_from(order)
        .map_err(|_| invalid("order", "unknown; expected 0 to 7"))?;
    Ok(match known {
        pb::InboxOrder::Unspecified | pb::InboxOrder::Concern => Order::Concern,
        pb::InboxOrder::Depth => Order::Depth,
        pb::InboxOrder::Oldest => Order::Oldest,
        pb::InboxOrder::Came => Order::Came,
        pb::InboxOrder::Settled => Order::Settled,
        pb::InboxOrder::DeadLetters => Order::DeadLetters,
        pb::InboxOrder::Name => Order::Name,
    })
}

fn write_totals(totals: &Totals, now: SystemTime) -> pb::InboxTotals {
    let age = totals.oldest.map(|oldest| now.duration_since(oldest).unwrap_or_default());
    pb::InboxTotals {
        inboxes: totals.inboxes,
        concerns: totals.concerns,
        unread: totals.unread,
        waiting: totals.waiting,
        delayed: totals.delayed,
        in_flight: totals.in_flight,
        dead_letters: totals.dead_letters,
        consumers: totals.consumers,
        oldest_age: age.and_then(to_duration),
    }
}

fn write_latency(quantiles: &Quantiles) -> Option<pb::Latency> {
    let Quantiles { count, p50, p99 } = *quantiles;
    (count > 0).then(|| pb::Latency { p50: to_duration(p50), p99: to_duration(p99) })
}

fn write_activity(one: &Surveyed, now: SystemTime) -> pb::InboxActivity {
    let inbox = Inbox {
        name: one.name.clone(),
        state: one.state.clone(),
        settings: InboxSettings::default(),
        in_effect: InboxSettings::default(),
        receivers: Vec::new(),
    };
    pb::InboxActivity {
        inbox: Some(pb::Inbox { settings: None, in_effect: None, ..write_inbox(inbox) }),
        came_per_second: one.came_per_second,
        settled_per_second: one.settled_per_second,
        concern: one.concern(now).map(|one| one.as_str().to_owned()).unwrap_or_default(),
        history: one.history.to_vec(),
    }
}
