use std::collections::BTreeMap;
use std::time::Duration;

use wissel_proto::wissel::v1 as pb;
use wissel_proto::wissel::v1::subscribe_request::Request;

use super::delivery::Hold;

/// What a receiver says about one delivery.
#[derive(Debug)]
pub(super) struct Settlement {
    pub(super) hold: Hold,
    pub(super) verdict: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Acknowledge,
    Retry { after: Option<Duration>, reason: String },
    Reject { reason: String },
    Extend { lease: Duration },
}

/// Settlements to be sent: alike ones go in one request.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    extended: BTreeMap<Duration, Vec<u64>>,
    acknowledged: Vec<u64>,
    retried: BTreeMap<(Option<Duration>, String), Vec<u64>>,
    rejected: BTreeMap<String, Vec<u64>>,
    count: usize,
}

impl Settlements {
    pub(super) fn push(&mut self, delivery_id: u64, verdict: Verdict) {
        let ids = match verdict {
            Verdict::Acknowledge => &mut self.acknowledged,
            Verdict::Retry { after, reason } => self.retried.entry((after, reason)).or_default(),
            Verdict::Reject { reason } => self.rejected.entry(reason).or_default(),
            Verdict::Extend { lease } => self.extended.entry(lease).or_default(),
        };
        ids.push(delivery_id);
        self.count += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The next request. Leases are extended first: a delivery that was extended
    /// and settled thereafter must not be named the other way round.
    pub(super) fn next_request(&mut self) -> Option<pb::SubscribeRequest> {
        let request = if let Some((lease, ids)) = self.extended.pop_first() {
            self.count -= ids.len();
            Request::ExtendLease(pb::ExtendLease {
                delivery_ids: ids,
                lease: Some(to_proto(lease)),
            })
        } else if !self.acknowledged.is_empty() {
            let ids = std::mem::take(&mut self.acknowledged);
            self.count -= ids.len();
            Request::Acknowledge(pb::Acknowledge { delivery_ids: ids })
        } else if let Some(((after, reason), ids)) = self.retried.pop_first() {
            self.count -= ids.len();
            Request::Retry(pb::Retry { delivery_ids: ids, after: after.map(to_proto), reason })
        } else {
            let (reason, ids) = self.rejected.pop_first()?;
            self.count -= ids.len();
            Request::Reject(pb::Reject { delivery_ids: ids, reason })
        };
        Some(pb::SubscribeRequest { request: Some(request) })
    }
}

/// For what was checked to be a day at most.
fn to_proto(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a duration of at most 24 hours fits in a protobuf duration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_settlements_go_in_one_request() {
        let retry = |reason: &str| Verdict::Retry {
            after: Some(Duration::from_secs(1)),
            reason: reason.to_owned(),
        };
        let lease = Duration::from_secs(60);
        let mut settlements = Settlements::default();
        settlements.push(1, Verdict::Acknowledge);
        settlements.push(2, retry("busy"));
        settlements.push(3, Verdict::Acknowledge);
        settlements.push(4, retry("down"));
        settlements.push(5, retry("busy"));
        settlements.push(3, Verdict::Extend { lease });
        assert_eq!(settlements.len(), 6);

        let requests = std::iter::from_fn(|| settlements.next_request());
        let requests: Vec<Request> = requests.filter_map(|request| request.request).collect();
        let after = Some(to_proto(Duration::from_secs(1)));
        let expected = vec![
            Request::ExtendLease(pb::ExtendLease {
                delivery_ids: vec![3],
                lease: Some(to_proto(lease)),
            }),
            Request::Acknowledge(pb::Acknowledge { delivery_ids: vec![1, 3] }),
            Request::Retry(pb::Retry {
                delivery_ids: vec![2, 5],
                after,
                reason: "busy".to_owned(),
            }),
            Request::Retry(pb::Retry { delivery_ids: vec![4], after, reason: "down".to_owned() }),
        ];
        assert_eq!(requests, expected);
        assert!(settlements.is_empty());
    }
}
