//! `wissel status`.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use wissel_client::{
    Check, Client, GatewayStatus, InboxActivity, InboxOrder, Latency, Overview, Traffic,
};

use crate::cli::LookArguments;
use crate::exit::Failure;
use crate::inboxes::seconds;
use crate::{client, inboxes, output, watching};

/// The most inboxes that are told of by name.
const NAMED: u32 = 10;
/// How old what is told of inboxes may be.
const MAX_AGE: Duration = Duration::from_secs(2);

pub(crate) async fn run(arguments: LookArguments) -> Result<(), Failure> {
    let client = client::connect_without_retries(&arguments.connection)?;
    let (client, json) = (&client, arguments.json);
    if let Some(every) = arguments.watch.watch {
        let look = || async move { Report::of(client).await?.text(json) };
        return watching::again_and_again(every, json, look).await;
    }
    let report = Report::of(client).await?;
    output::line(&report.text(json)?);
    if !report.status.ready {
        return Err(Failure::unavailable("the gateway is not ready"));
    }
    Ok(())
}

/// What is told.
struct Report {
    status: GatewayStatus,
    overview: Overview,
}

impl Report {
    async fn of(client: &Client) -> Result<Self, Failure> {
        let status = client.status().await?;
        let mut overview = client.overview(InboxOrder::Concern, 0, NAMED, MAX_AGE).await?;
        overview.inboxes.retain(|one| one.concern.is_some());
        Ok(Self { status, overview })
    }

    fn text(&self, json: bool) -> Result<String, Failure> {
        if json {
            return serde_json::to_string(&self.to_json()).map_err(Failure::internal);
        }
        let facts = output::table_text(&["", ""], self.facts());
        let mut parts = vec![facts.trim_start_matches('\n').to_owned()];
        let concerns = self.overview.totals.concerns;
        if self.overview.inboxes.is_empty() {
            parts.push("No inbox needs somebody to look.".to_owned());
        } else {
            parts.push(self.concerns());
        }
        let named = self.overview.inboxes.len() as u64;
        if concerns > named {
            parts.push(format!("… and {} inboxes more that need a look", concerns - named));
        }
        Ok(parts.join("\n\n"))
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let Self { status, overview } = self;
        let totals = &overview.totals;
        let mut facts = vec![
            ("ready", said(if status.ready { "yes" } else { "NO" }, &standing(status))),
            ("version", status.version.clone()),
            ("bus", status.bus.clone()),
            ("up", output::duration(status.uptime)),
            ("catalogue", detail_of(status, "catalogue")),
            ("subscriptions", status.subscriptions.to_string()),
            (
                "inboxes",
                format!(
                    "{}, {} need a look, {} unread",
                    totals.inboxes, totals.concerns, totals.unread
                ),
            ),
            (
                "deliveries",
                format!(
                    "{} waiting, {} delayed, {} in flight; oldest {}",
                    totals.waiting,
                    totals.delayed,
                    totals.in_flight,
                    totals.oldest_age.map_or_else(|| "-".to_owned(), output::duration)
                ),
            ),
            ("dead letters", totals.dead_letters.to_string()),
            ("consumers", totals.consumers.to_string()),
        ];
        if let Some(traffic) = &overview.traffic {
            facts.extend(traffic_facts(traffic));
        }
        let looked = overview.taken_at.map_or_else(
            || "not yet".to_owned(),
            |at| {
                let ago = SystemTime::now().duration_since(at).unwrap_or_default();
                format!("{} ago", output::duration(ago))
            },
        );
        facts.push(("looked at", looked));
        facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect()
    }

    fn concerns(&self) -> String {
        let columns = [
            "INBOX",
            "CONCERN",
            ">WAITING",
            ">IN FLIGHT",
            ">CONSUMERS",
            ">OLDEST",
            ">IN/S",
            ">OUT/S",
            ">DEAD LETTERS",
        ];
        let rows = self.overview.inboxes.iter().map(|one| {
            vec![
                one.inbox.name.to_string(),
                one.concern.clone().unwrap_or_default(),
                inboxes::depth(&one.inbox),
                one.inbox.in_flight.to_string(),
                one.inbox.consumers.to_string(),
                one.inbox.oldest_age.map_or_else(|| "-".to_owned(), output::duration),
                output::rate(one.came_per_second),
                output::rate(one.settled_per_second),
                one.inbox.dead_letters.to_string(),
            ]
        });
        output::table_text(&columns, rows.collect())
    }

    fn to_json(&self) -> Value {
        let Self { status, overview } = self;
        let totals = &overview.totals;
        json!({
            "ready": status.ready,
            "version": status.version,
            "bus": status.bus,
            "bus_detail": status.bus_detail,
            "checks": status.checks.iter().map(check_json).collect::<Vec<_>>(),
            "uptime_seconds": status.uptime.as_secs_f64(),
            "subscriptions": status.subscriptions,
            "taken_at": overview.taken_at.map(output::moment),
            "totals": {
                "inboxes": totals.inboxes,
                "concerns": totals.concerns,
                "unread": totals.unread,
                "waiting": totals.waiting,
                "delayed": totals.delayed,
                "in_flight": totals.in_flight,
                "dead_letters": totals.dead_letters,
                "consumers": totals.consumers,
                "oldest_age_seconds": seconds(totals.oldest_age),
            },
            "traffic": overview.traffic.as_ref().map(traffic_json),
            "concerns": overview.inboxes.iter().map(activity_json).collect::<Vec<_>>(),
        })
    }
}

/// What the bus says of itself, or everything that is in the way of messages.
pub(crate) fn standing(status: &GatewayStatus) -> String {
    let failed = status.checks.iter().filter(|check| !check.ok);
    let failed: Vec<String> = failed.map(|check| said(&check.name, &check.detail)).collect();
    // An older gateway does not tell its checks.
    if failed.is_empty() { status.bus_detail.clone() } else { failed.join("; ") }
}

/// What there is to say, and more where that is told: details are for operators.
fn said(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") }
}

/// What a check found; `-` where that is not told.
fn detail_of(status: &GatewayStatus, name: &str) -> String {
    let check = status.checks.iter().find(|check| check.name == name);
    let detail = check.map(|check| check.detail.clone()).filter(|detail| !detail.is_empty());
    detail.unwrap_or_else(|| "-".to_owned())
}

fn check_json(check: &Check) -> Value {
    json!({ "name": check.name, "ok": check.ok, "detail": check.detail })
}

fn traffic_facts(traffic: &Traffic) -> Vec<(&'static str, String)> {
    let latency = |latency: Option<Latency>| {
        latency.map_or_else(
            || "-".to_owned(),
            |one| {
                let (half, most) =
                    (output::short_duration(one.p50), output::short_duration(one.p99));
                format!("half within {half}, 99 of 100 within {most}")
            },
        )
    };
    let rates = format!(
        "{} messages, {} deliveries made, {} handed out",
        output::rate(traffic.messages_per_second),
        output::rate(traffic.enqueued_per_second),
        output::rate(traffic.handed_out_per_second)
    );
    vec![
        ("a second", rates),
        ("to receipt", latency(traffic.receipt)),
        ("to delivery", latency(traffic.delivery)),
    ]
}

fn traffic_json(traffic: &Traffic) -> Value {
    let latency = |latency: Option<Latency>| {
        latency.map(|one| {
            json!({ "p50_seconds": one.p50.as_secs_f64(), "p99_seconds": one.p99.as_secs_f64() })
        })
    };
    json!({
        "messages_per_second": traffic.messages_per_second,
        "enqueued_per_second": traffic.enqueued_per_second,
        "handed_out_per_second": traffic.handed_out_per_second,
        "receipt": latency(traffic.receipt),
        "delivery": latency(traffic.delivery),
    })
}

fn activity_json(one: &InboxActivity) -> Value {
    json!({
        "name": one.inbox.name,
        "concern": one.concern,
        "depth": one.inbox.depth,
        "depth_is_least": one.inbox.depth_is_least,
        "delayed": one.inbox.delayed,
        "in_flight": one.inbox.in_flight,
        "consumers": one.inbox.consumers,
        "oldest_age_seconds": seconds(one.inbox.oldest_age),
        "dead_letters": one.inbox.dead_letters,
        "came_per_second": one.came_per_second,
        "settled_per_second": one.settled_per_second,
    })
}
