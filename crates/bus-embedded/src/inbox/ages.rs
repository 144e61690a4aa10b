use std::collections::BTreeMap;

/// How long a bucket is.
const BUCKET_MS: u64 = 60_000;

/// The ages of deliveries that are not in the order of their age. Those admitted
/// in the same minute share a bucket, so that it stays small however many there
/// are; the oldest is therefore exact, or up to a minute too old.
#[derive(Debug, Default)]
pub(crate) struct Ages(BTreeMap<u64, Bucket>);

#[derive(Debug)]
struct Bucket {
    count: u64,
    oldest_ms: u64,
}

impl Ages {
    pub(crate) fn add(&mut self, admitted_ms: u64) {
        let bucket = self
            .0
            .entry(admitted_ms / BUCKET_MS)
            .or_insert(Bucket { count: 0, oldest_ms: admitted_ms });
        bucket.count += 1;
        bucket.oldest_ms = bucket.oldest_ms.min(admitted_ms);
    }

    /// Takes away one that was added.
    pub(crate) fn remove(&mut self, admitted_ms: u64) {
        let minute = admitted_ms / BUCKET_MS;
        let Some(bucket) = self.0.get_mut(&minute) else {
            debug_assert!(false, "removed an age that was never added");
            return;
        };
        bucket.count -= 1;
        if bucket.count == 0 {
            self.0.remove(&minute);
        }
    }

    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.0.first_key_value().map(|(_, bucket)| bucket.oldest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_to_the_minute() {
        let mut ages = Ages::default();
        assert_eq!(ages.oldest_ms(), None);
        ages.add(130_000);
        ages.add(60_500);
        ages.add(60_100);
        assert_eq!(ages.oldest_ms(), Some(60_100));
        ages.remove(60_100);
        assert_eq!(ages.oldest_ms(), Some(60_100), "to the minute");
        ages.remove(60_500);
        assert_eq!(ages.oldest_ms(), Some(130_000));
        ages.remove(130_000);
        assert_eq!(ages.oldest_ms(), None);
    }
}
