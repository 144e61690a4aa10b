//! Signals, their matches and their notices, in SQL.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;
use wissel_identifiers::Oin;

use crate::matching::{
    Filed, MakeKey, NewSignal, NoticeOf, Pseudonym, PseudonymKeys, Signal, SignalMatch,
    SignalNotice, Tell, Transfer,
};
use crate::sqlite::milliseconds;
use crate::{StoreError, outbox, reports};

/// What the tables are made by.
pub(crate) const TABLES: &str = "
    -- With which keys pseudonyms are made: how many of those in the file, and what shows
    -- that they are the right ones. One row, or none.
    CREATE TABLE pseudonym_keys (
        one   INTEGER PRIMARY KEY CHECK (one = 1),
        count INTEGER NOT NULL CHECK (count > 0),
        proof BLOB NOT NULL CHECK (length(proof) = 32)
    ) STRICT;

    CREATE TABLE signal (
        id         BLOB PRIMARY KEY CHECK (length(id) = 16),
        event_type TEXT NOT NULL,
        party      TEXT NOT NULL,
        reference  TEXT NOT NULL,
        pseudonym  BLOB NOT NULL CHECK (length(pseudonym) = 32),
        filed_at   INTEGER NOT NULL,  -- milliseconds since 1970
        expires_at INTEGER NOT NULL,  -- milliseconds since 1970
        examined   INTEGER NOT NULL DEFAULT 0 CHECK (examined IN (0, 1)),
        UNIQUE (party, event_type, reference)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX signal_of_subject ON signal (event_type, pseudonym, party);
    CREATE INDEX signal_of_party ON signal (party, id);
    CREATE INDEX signal_expiry ON signal (expires_at);
    CREATE INDEX signal_to_examine ON signal (id) WHERE examined = 0;

    -- Two signals of two parties about one subject, the lower id first.
    CREATE TABLE signal_match (
        one        BLOB NOT NULL REFERENCES signal (id) ON DELETE CASCADE,
        other      BLOB NOT NULL REFERENCES signal (id) ON DELETE CASCADE,
        matched_at INTEGER NOT NULL,
        PRIMARY KEY (one, other),
        CHECK (one < other)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX signal_match_other ON signal_match (other);

    -- A notice of the outbox that is about a signal goes with it.
    ALTER TABLE outbox ADD COLUMN signal BLOB REFERENCES signal (id) ON DELETE CASCADE;
    CREATE INDEX outbox_signal ON outbox (signal) WHERE signal IS NOT NULL;
";

// === keys ===

pub(crate) fn keys(connection: &Connection) -> Result<Option<PseudonymKeys>, StoreError> {
    let sql = "SELECT count, proof FROM pseudonym_keys";
    let read = |row: &Row<'_>| Ok(PseudonymKeys { count: row.get(0)?, proof: row.get(1)? });
    Ok(connection.query_row(sql, [], read).optional()?)
}

pub(crate) fn add_key(connection: &mut Connection, make: MakeKey) -> Result<bool, StoreError> {
    // From here on nobody else writes, so that two processes cannot both add a key.
    let transaction = begin(connection)?;
    let known = keys(&transaction)?;
    let key = make(known).map_err(|error| StoreError::Key { reason: error.to_string() })?;
    let Some(key) = key else { return Ok(false) };
    {
        let mut all = transaction.prepare("SELECT id, pseudonym FROM signal")?;
        let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let all: Vec<([u8; 16], Pseudonym)> = all.collect::<Result<_, _>>()?;
        let mut change = transaction.prepare("UPDATE signal SET pseudonym = ?2 WHERE id = ?1")?;
        for (id, pseudonym) in all {
            change.execute(params![id, (key.wrap)(&pseudonym)])?;
        }
    }
    reports::wrap_all(&transaction, &key)?;
    let count = known.map_or(1, |known| known.count + 1);
    let sql = "INSERT OR REPLACE INTO pseudonym_keys (one, count, proof) VALUES (1, ?1, ?2)";
    transaction.execute(sql, params![count, key.proof])?;
    transaction.commit()?;
    forget(connection)?;
    Ok(true)
}

// === signals ===

pub(crate) fn file(connection: &mut Connection, new: &NewSignal) -> Result<Filed, StoreError> {
    let transaction = begin(connection)?;
    if keys(&transaction)?.is_none_or(|keys| keys.count != new.keys) {
        return Ok(Filed::OtherKeys);
    }
    let party = new.party.as_str();
    let named = params![party, new.event_type, new.reference, milliseconds(new.filed_at)];
    transaction.execute(
        "DELETE FROM signal
         WHERE party = ?1 AND event_type = ?2 AND reference = ?3 AND expires_at <= ?4",
        named,
    )?;
    let existing = transaction
        .query_row(
            "SELECT id, expires_at, pseudonym FROM signal
             WHERE party = ?1 AND event_type = ?2 AND reference = ?3",
            params![party, new.event_type, new.reference],
            |row| Ok((uuid(row, 0)?, moment(row, 1)?, row.get::<_, Pseudonym>(2)?)),
        )
        .optional()?;
    if let Some((id, expires_at, pseudonym)) = existing {
        let same = pseudonym == new.pseudonym;
        return Ok(if same { Filed::Same { id, expires_at } } else { Filed::Conflict });
    }
    let of_party: u32 = transaction.query_row(
        "SELECT count(*) FROM signal WHERE event_type = ?1 AND pseudonym = ?2 AND party = ?3",
        params![new.event_type, new.pseudonym, party],
        |row| row.get(0),
    )?;
    if of_party >= new.most {
        return Ok(Filed::TooMany);
    }
    transaction.execute(
        "INSERT INTO signal (id, event_type, party, reference, pseudonym, filed_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            new.id.into_bytes(),
            new.event_type,
            party,
            new.reference,
            new.pseudonym,
            milliseconds(new.filed_at),
            milliseconds(new.expires_at),
        ],
    )?;
    transaction.commit()?;
    Ok(Filed::New)
}

const SIGNAL: &str = "SELECT id, event_type, party, reference, filed_at, expires_at FROM signal";

pub(crate) fn one(connection: &Connection, id: Uuid) -> Result<Option<Signal>, StoreError> {
    let sql = format!("{SIGNAL} WHERE id = ?1 AND expires_at > ?2");
    let now = milliseconds(SystemTime::now());
    let read = connection.query_row(&sql, params![id.into_bytes(), now], read_signal);
    Ok(read.optional()?)
}

pub(crate) fn of_party(
    connection: &Connection,
    party: Oin,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Signal>, StoreError> {
    let sql =
        format!("{SIGNAL} WHERE party = ?1 AND id > ?2 AND expires_at > ?3 ORDER BY id LIMIT ?4");
    let after = after.unwrap_or_default().into_bytes();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let now = milliseconds(SystemTime::now());
    let asked = params![party.as_str(), after, now, limit];
    let mut signals: Vec<Signal> =
        statement.query_map(asked, read_signal)?.collect::<Result<_, _>>()?;
    for signal in &mut signals {
        signal.matches = partners(connection, signal.id)?.into_iter().map(|one| one.1).collect();
    }
    Ok(signals)
}

pub(crate) fn withdraw(
    connection: &mut Connection,
    id: Uuid,
    party: Oin,
    tell: &Tell,
) -> Result<bool, StoreError> {
    let transaction = begin(connection)?;
    if one(&transaction, id)?.is_none_or(|signal| signal.party != party) {
        return Ok(false);
    }
    for (partner, _) in partners(&transaction, id)? {
        put(&transaction, tell, NoticeOf::Withdrawn, partner, party, None)?;
    }
    transaction.execute("DELETE FROM signal WHERE id = ?1", [id.into_bytes()])?;
    transaction.commit()?;
    forget(connection)?;
    Ok(true)
}

pub(crate) fn transfer(
    connection: &mut Connection,
    transfer: &Transfer,
    tell: &Tell,
) -> Result<bool, StoreError> {
    let Transfer { id, from, to, reference } = transfer;
    let transaction = begin(connection)?;
    let Some(signal) = one(&transaction, *id)?.filter(|signal| signal.party == *from) else {
        return Ok(false);
    };
    let own_name = id.to_string();
    let taken = |reference: &str| {
        let sql = "SELECT 1 FROM signal WHERE party = ?1 AND event_type = ?2 AND reference = ?3";
        let named = params![to.as_str(), signal.event_type, reference];
        transaction.query_row(sql, named, |_| Ok(())).optional()
    };
    let reference = match reference.as_str() {
        "" => &own_name,
        asked if taken(asked)?.is_some() => &own_name,
        _ => reference,
    };
    transaction.execute(
        "UPDATE signal SET party = ?2, reference = ?3, examined = 0 WHERE id = ?1",
        params![id.into_bytes(), to.as_str(), reference],
    )?;
    // What its party was still to be told, the new one is told now.
    transaction.execute("DELETE FROM outbox WHERE signal = ?1", [id.into_bytes()])?;
    put(&transaction, tell, NoticeOf::Received, *id, *from, None)?;
    for (partner, SignalMatch { party, .. }) in partners(&transaction, *id)? {
        if party == *to {
            // Both are one party's now, which is no match.
            let pair = ordered(*id, partner);
            let sql = "DELETE FROM signal_match WHERE one = ?1 AND other = ?2";
            transaction.execute(sql, params![pair.0, pair.1])?;
        } else {
            put(&transaction, tell, NoticeOf::Match, *id, party, None)?;
            put(&transaction, tell, NoticeOf::Moved, partner, *to, Some(*from))?;
        }
    }
    transaction.commit()?;
    Ok(true)
}

// === matches ===

pub(crate) fn examine(
    connection: &mut Connection,
    limit: usize,
    tell: &Tell,
) -> Result<usize, StoreError> {
    let at = SystemTime::now();
    let transaction = begin(connection)?;
    let new: Vec<(Uuid, Oin)> = {
        let sql = "SELECT id, party FROM signal WHERE examined = 0 ORDER BY id LIMIT ?1";
        let mut statement = transaction.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| Ok((uuid(row, 0)?, oin(row, 1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    for (id, party) in &new {
        let others: Vec<(Uuid, Oin)> = {
            let mut statement = transaction.prepare_cached(
                "SELECT other.id, other.party FROM signal
                 JOIN signal AS other USING (event_type, pseudonym)
                 WHERE signal.id = ?1 AND signal.expires_at > ?2
                     AND other.party <> signal.party AND other.expires_at > ?2",
            )?;
            let asked = params![id.into_bytes(), milliseconds(at)];
            let rows = statement.query_map(asked, |row| Ok((uuid(row, 0)?, oin(row, 1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        for (other, of) in others {
            let pair = ordered(*id, other);
            let sql =
                "INSERT OR IGNORE INTO signal_match (one, other, matched_at) VALUES (?1, ?2, ?3)";
            let new = transaction.execute(sql, params![pair.0, pair.1, milliseconds(at)])?;
            if new > 0 {
                put(&transaction, tell, NoticeOf::Match, *id, of, None)?;
                put(&transaction, tell, NoticeOf::Match, other, *party, None)?;
            }
        }
        transaction.execute("UPDATE signal SET examined = 1 WHERE id = ?1", [id.into_bytes()])?;
    }
    transaction.commit()?;
    Ok(new.len())
}

/// The signals of others that a signal matches with, by time.
fn partners(connection: &Connection, id: Uuid) -> Result<Vec<(Uuid, SignalMatch)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT partner.id, partner.party, pair.matched_at
         FROM (SELECT other AS id, matched_at FROM signal_match WHERE one = ?1
               UNION ALL
               SELECT one AS id, matched_at FROM signal_match WHERE other = ?1) AS pair
         JOIN signal AS partner ON partner.id = pair.id
         ORDER BY pair.matched_at, partner.id",
    )?;
    let rows = statement.query_map([id.into_bytes()], |row| {
        Ok((uuid(row, 0)?, SignalMatch { party: oin(row, 1)?, matched_at: moment(row, 2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn ordered(one: Uuid, other: Uuid) -> ([u8; 16], [u8; 16]) {
    (one.min(other).into_bytes(), one.max(other).into_bytes())
}

// === expiry ===

pub(crate) fn expire(connection: &mut Connection) -> Result<usize, StoreError> {
    let now = milliseconds(SystemTime::now());
    let gone = connection.execute("DELETE FROM signal WHERE expires_at <= ?1", [now])?;
    if gone > 0 {
        forget(connection)?;
    }
    Ok(gone)
}

pub(crate) fn next_expiry(connection: &Connection) -> Result<Option<SystemTime>, StoreError> {
    let sql = "SELECT expires_at FROM signal ORDER BY expires_at LIMIT 1";
    Ok(connection.query_row(sql, [], |row| moment(row, 0)).optional()?)
}

/// Writes what the log for writing ahead still holds over the pages of the database, and
/// empties the log, so that what was deleted is in neither.
fn forget(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

// === notices ===

/// Puts a notice in the outbox, to the party whose signal this is.
fn put(
    transaction: &Transaction<'_>,
    tell: &Tell,
    what: NoticeOf,
    signal: Uuid,
    party: Oin,
    previous: Option<Oin>,
) -> Result<(), StoreError> {
    let Some(signal) = one(transaction, signal)? else { return Ok(()) };
    let notice = SignalNotice {
        what,
        signal: signal.id,
        event_type: signal.event_type,
        receiver: signal.party,
        reference: signal.reference,
        expires_at: signal.expires_at,
        party,
        previous,
        at: SystemTime::now(),
    };
    match tell(&notice) {
        Some(event) => outbox::put_about(transaction, &notice.receiver, &event, &notice.signal),
        None => Ok(()),
    }
}

// === rows ===

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn read_signal(row: &Row<'_>) -> rusqlite::Result<Signal> {
    Ok(Signal {
        id: uuid(row, 0)?,
        event_type: row.get(1)?,
        party: oin(row, 2)?,
        reference: row.get(3)?,
        filed_at: moment(row, 4)?,
        expires_at: moment(row, 5)?,
        matches: Vec::new(),
    })
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

fn oin(row: &Row<'_>, column: usize) -> rusqlite::Result<Oin> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| FromSqlError::Other(Box::new(error)).into())
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<SystemTime> {
    let since_1970 = u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default();
    Ok(UNIX_EPOCH + Duration::from_millis(since_1970))
}
