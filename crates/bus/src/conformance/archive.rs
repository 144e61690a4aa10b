//! The archive: kept apart from inboxes, read without disturbing them.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::Fixture;
use super::support::{PATIENCE, Reader, enqueue_all, message, new_inbox, put, tidy};
use crate::{ArchivePage, Archived, Bus, Enqueue, Envelope, InboxName, Outlives, PAGE_BYTES};

const HOUR: Duration = Duration::from_secs(3_600);

/// What is given to the archive is kept there after its inboxes are done with it, in the
/// order of admission, and is found by time and in pages; what is not given is not there.
pub async fn the_archive_keeps_what_it_is_given(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "archive").await;
    let begun = SystemTime::now() - Duration::from_millis(1);
    let kept = keep(&*bus, &inbox, 12).await;
    put(&*bus, &inbox, &[message("not for the archive")]).await;

    let mut reader = Reader::of(&*bus, &inbox, 100).await;
    let deliveries = reader.take(kept.len() + 1).await;
    reader.acknowledge(&deliveries).await;

    let found = of_mine(&kept, everything_since(&*bus, begun, 5, kept.len()).await);
    assert_eq!(found, kept);

    // By time: the moment of admission counts, from it on and up to it.
    let (from, until) = (kept[4].admitted_at, kept[9].admitted_at);
    let page = ArchivePage { from, until, after: None, limit: 1_000 };
    let between = of_mine(&kept, bus.archived(page).await.expect("the archive can be read"));
    assert_eq!(between, kept[4..9]);
    tidy(&*bus, &[&inbox]).await;
}

/// However many are asked for, a page ends when it is large.
pub async fn a_page_of_the_archive_is_bounded_in_bytes(fixture: &dyn Fixture) {
    const LARGE: usize = PAGE_BYTES / 4;
    let bus = fixture.bus().await;
    let begun = SystemTime::now() - Duration::from_millis(1);
    let large = |_| message("x".repeat(LARGE));
    let kept: Vec<Envelope> = (0..7).map(large).collect();
    let archived = |envelope: &Envelope| Enqueue {
        envelope: envelope.clone(),
        inboxes: vec![],
        archive_until: Some(SystemTime::now() + HOUR),
        outlives: Outlives::PowerLoss,
        lane: 0,
    };
    enqueue_all(&*bus, kept.iter().map(archived).collect()).await;
    let found = everything_since(&*bus, begun, 100, kept.len()).await;
    assert_eq!(of_mine(&kept, found), kept);
    let page =
        ArchivePage { from: begun, until: SystemTime::now() + HOUR, after: None, limit: 100 };
    let first = bus.archived(page).await.expect("the archive can be read");
    let bytes =
        |archived: &[Archived]| archived.iter().map(|one| one.envelope.event.len()).sum::<usize>();
    let (_, but_last) = first.split_last().expect("something is kept");
    assert!(bytes(but_last) < PAGE_BYTES, "a page ends with the message with which it is full");
    assert!(page.is_full(&first), "there is more");
    tidy(&*bus, &[]).await;
}

/// What is for no inbox can be kept nevertheless, and what is over its time is not shown.
pub async fn the_archive_ends_with_its_time(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let begun = SystemTime::now() - Duration::from_millis(1);
    let soon = SystemTime::now() + Duration::from_secs(2);
    let (short, long) = (message("short"), message("long"));
    let archived = |envelope: &Envelope, until| Enqueue {
        envelope: envelope.clone(),
        inboxes: vec![],
        archive_until: Some(until),
        outlives: Outlives::PowerLoss,
        lane: 0,
    };
    let later = SystemTime::now() + HOUR;
    enqueue_all(&*bus, vec![archived(&short, soon), archived(&long, later)]).await;
    let both = [short, long];
    let found = of_mine(&both, everything_since(&*bus, begun, 100, 2).await);
    assert_eq!(found, both);

    sleep(Duration::from_millis(2_500)).await;
    let found = of_mine(&both, everything_since(&*bus, begun, 100, 1).await);
    assert_eq!(found, both[1..]);
    tidy(&*bus, &[]).await;
}

/// The archive is there after the bus was opened again.
pub async fn the_archive_survives_a_crash(fixture: &dyn Fixture) {
    let bus = fixture.bus().await;
    let inbox = new_inbox(&*bus, "archive-crash").await;
    let begun = SystemTime::now() - Duration::from_millis(1);
    let mut kept = keep(&*bus, &inbox, 3).await;
    let bus = fixture.crash(bus).await;
    bus.open_inbox(&inbox).await.expect("an inbox opens");
    kept.extend(keep(&*bus, &inbox, 3).await);
    let found = of_mine(&kept, everything_since(&*bus, begun, 2, kept.len()).await);
    assert_eq!(found, kept);
    tidy(&*bus, &[&inbox]).await;
}

/// Messages for one inbox and the archive; each was admitted at a moment of its own.
async fn keep(bus: &dyn Bus, inbox: &InboxName, count: usize) -> Vec<Envelope> {
    let mut kept = Vec::new();
    for number in 0..count {
        sleep(Duration::from_millis(3)).await;
        kept.push(message(format!("archived {number}")));
    }
    let archive_until = Some(SystemTime::now() + HOUR);
    let inboxes = vec![inbox.clone()];
    let items = kept.iter().map(|envelope| Enqueue {
        envelope: envelope.clone(),
        inboxes: inboxes.clone(),
        archive_until,
        outlives: Outlives::PowerLoss,
        lane: 0,
    });
    enqueue_all(bus, items.collect()).await;
    kept
}

/// Reads page by page, until there are so many of this test's or patience ends. Others
/// may share the archive.
async fn everything_since(
    bus: &dyn Bus,
    from: SystemTime,
    limit: usize,
    expected: usize,
) -> Vec<Archived> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found: Vec<Archived> = Vec::new();
        loop {
            let after = found.last().map(|last| last.position);
            let page = ArchivePage { from, until: SystemTime::now() + HOUR, after, limit };
            let archived = bus.archived(page).await.expect("the archive can be read");
            assert!(archived.len() <= limit, "a page has no more than was asked for");
            let ended = !page.is_full(&archived);
            found.extend(archived);
            if ended {
                break;
            }
        }
        assert!(found.is_sorted_by(|a, b| a.position < b.position), "each comes once, in order");
        if found.len() >= expected || Instant::now() >= deadline {
            return found;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Of those found, the ones that are this test's.
fn of_mine(mine: &[Envelope], found: Vec<Archived>) -> Vec<Envelope> {
    let mine =
        |archived: &Archived| mine.iter().any(|one| one.message_id == archived.envelope.message_id);
    found.into_iter().filter(mine).map(|archived| archived.envelope).collect()
}
