//! Cases, in SQL: who sent one, who has it, how it stands, and what is due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use uuid::Uuid;
use wissel_identifiers::Oin;

use crate::sqlite::{milliseconds, unreadable};
use crate::{Store, StoreError, outbox, reports};

/// What the tables are made by.
pub(crate) const TABLES: &str = "
    CREATE TABLE case_file (
        id           BLOB PRIMARY KEY CHECK (length(id) = 16),
        event_type   TEXT NOT NULL,
        sender       TEXT NOT NULL,
        holder       TEXT NOT NULL,
        opened_at    INTEGER NOT NULL,  -- milliseconds since 1970
        ends_at      INTEGER,           -- milliseconds since 1970; none: it has no term
        suspended_at INTEGER,           -- milliseconds since 1970; none: its term runs
        closed       INTEGER NOT NULL CHECK (closed IN (0, 1))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX case_of_sender ON case_file (sender, id);
    CREATE INDEX case_of_holder ON case_file (holder, id);

    CREATE TABLE case_status (
        id       BLOB NOT NULL REFERENCES case_file (id) ON DELETE CASCADE,
        number   INTEGER NOT NULL,
        status   TEXT NOT NULL,
        party    TEXT NOT NULL,
        at       INTEGER NOT NULL,  -- milliseconds since 1970
        event_id TEXT NOT NULL,
        PRIMARY KEY (id, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE case_due (
        id   BLOB NOT NULL REFERENCES case_file (id) ON DELETE CASCADE,
        due  INTEGER NOT NULL,  -- milliseconds since 1970
        what TEXT NOT NULL CHECK (what IN ('remind', 'end')),
        PRIMARY KEY (id, due, what)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX case_due_order ON case_due (due);
";

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFile {
    /// The id of its message.
    pub id: Uuid,
    /// The event type of its message.
    pub event_type: String,
    /// Who sent it.
    pub sender: Oin,
    /// Who has it.
    pub holder: Oin,
    /// When it was admitted; milliseconds are kept.
    pub opened_at: SystemTime,
    /// When its term ends; milliseconds are kept.
    pub ends_at: Option<SystemTime>,
    /// Since when its term stands still; milliseconds are kept.
    pub suspended_at: Option<SystemTime>,
    /// Whether nothing more is to be done.
    pub closed: bool,
    /// How it stood, the last last.
    pub statuses: Vec<CaseStatus>,
}

/// How a case stood from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseStatus {
    /// Its code.
    pub status: String,
    /// Who said so.
    pub party: Oin,
    /// When; milliseconds are kept.
    pub at: SystemTime,
    /// The `id` of the message that said so.
    pub event_id: String,
    /// The message id of the correction that ended the report.
    pub correction: Option<Uuid>,
}

/// What is to be done about a case at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseDue {
    /// When; milliseconds are kept.
    pub at: SystemTime,
    /// Whether its term ends then; else whoever has it is reminded.
    pub end: bool,
}

/// What becomes of a case.
#[derive(Debug, Clone)]
pub struct CaseChange {
    /// The case as it is from now on, with what it had of statuses before.
    pub case: CaseFile,
    /// The status that is new; none: only what is due changes.
    pub status: Option<CaseStatus>,
    /// What is due from now on, in place of all that was; none: as it was.
    pub due: Option<Vec<CaseDue>>,
    /// What was due, and is done.
    pub done: Option<CaseDue>,
    /// Messages for the outbox, with their recipients.
    pub messages: Vec<(Oin, Vec<u8>)>,
}

impl Store {
    /// Opens a case, with what is due about it. Says whether it was not there.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn open_case(&self, case: CaseFile, due: Vec<CaseDue>) -> Result<bool, StoreError> {
        self.backend.open_case(case, due).await
    }

    /// One case.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn case(&self, id: Uuid) -> Result<Option<CaseFile>, StoreError> {
        self.backend.case(id).await
    }

    /// The cases that a party sent or has, or everybody's, in the order of their ids.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn cases(
        &self,
        party: Option<Oin>,
        open_only: bool,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<CaseFile>, StoreError> {
        self.backend.cases(party, open_only, after, limit).await
    }

    /// Changes cases, with the messages that tell of them: all or none.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn change_cases(&self, changes: Vec<CaseChange>) -> Result<(), StoreError> {
        self.backend.change_cases(changes).await
    }

    /// What is due next, of all cases.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn next_case_due(&self) -> Result<Option<(Uuid, CaseDue)>, StoreError> {
        self.backend.next_case_due().await
    }

    /// Puts off what is due of a case.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn put_off_case_due(
        &self,
        id: Uuid,
        due: CaseDue,
        until: SystemTime,
    ) -> Result<(), StoreError> {
        self.backend.put_off_case_due(id, due, until).await
    }
}

/// Opens a case; says whether it was not there.
pub(crate) fn open(
    connection: &mut Connection,
    case: &CaseFile,
    due: &[CaseDue],
) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let opened = put(&transaction, case, due)?;
    transaction.commit()?;
    Ok(opened)
}

/// The same as part of a transaction of something else.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    case: &CaseFile,
    due: &[CaseDue],
) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO case_file
               (id, event_type, sender, holder, opened_at, ends_at, suspended_at, closed)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0)";
    let opened = transaction.prepare_cached(sql)?.execute(params![
        case.id.as_bytes(),
        case.event_type,
        case.sender.as_str(),
        case.holder.as_str(),
        milliseconds(case.opened_at),
        case.ends_at.map(milliseconds),
    ])?;
    if opened > 0 {
        put_due(transaction, &case.id, due)?;
    }
    Ok(opened > 0)
}

pub(crate) fn one(connection: &Connection, id: &Uuid) -> Result<Option<CaseFile>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM case_file WHERE id = ?1");
    let case = connection
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], |row| Ok(read(row)))
        .optional()?
        .transpose()?;
    case.map(|case| with_statuses(connection, case)).transpose()
}

/// Those that a party sent or has; of everybody without a party.
pub(crate) fn of_party(
    connection: &Connection,
    party: Option<&Oin>,
    open_only: bool,
    after: Option<&Uuid>,
    limit: usize,
) -> Result<Vec<CaseFile>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM case_file
         WHERE (?1 IS NULL OR sender = ?1 OR holder = ?1) AND (NOT ?2 OR closed = 0)
             AND (?3 IS NULL OR id > ?3)
         ORDER BY id LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = after.map(Uuid::as_bytes);
    let given = params![party.map(|party| party.as_str()), open_only, after, limit];
    let rows = statement.query_map(given, |row| Ok(read(row)))?;
    rows.map(|row| with_statuses(connection, row??)).collect()
}

/// Changes cases, with what is told of them: all or none.
pub(crate) fn change(
    connection: &mut Connection,
    changes: &[CaseChange],
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in changes {
        change_one(&transaction, change)?;
    }
    transaction.commit()?;
    Ok(())
}

fn change_one(transaction: &Transaction<'_>, change: &CaseChange) -> Result<(), StoreError> {
    let CaseChange { case, status, due, done, messages } = change;
    let sql = "UPDATE case_file SET holder = ?2, ends_at = ?3, suspended_at = ?4, closed = ?5
               WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![
        case.id.as_bytes(),
        case.holder.as_str(),
        case.ends_at.map(milliseconds),
        case.suspended_at.map(milliseconds),
        case.closed,
    ])?;
    if case.closed {
        reports::forget(transaction, &case.id)?;
    }
    if let Some(CaseStatus { status, party, at, event_id, correction }) = status {
        let sql = "INSERT INTO case_status (id, number, status, party, at, event_id, correction)
                   VALUES (?1, (SELECT count(*) FROM case_status WHERE id = ?1), ?2, ?3, ?4, ?5, ?6)";
        let (id, at) = (case.id.as_bytes(), milliseconds(*at));
        let correction = correction.as_ref().map(Uuid::as_bytes);
        let row = params![id, status, party.as_str(), at, event_id, correction];
        transaction.prepare_cached(sql)?.execute(row)?;
    }
    if let Some(CaseDue { at, end }) = done {
        let sql = "DELETE FROM case_due WHERE id = ?1 AND due = ?2 AND what = ?3";
        let row = params![case.id.as_bytes(), milliseconds(*at), what(*end)];
        transaction.prepare_cached(sql)?.execute(row)?;
    }
    if let Some(due) = due {
        let sql = "DELETE FROM case_due WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute([case.id.as_bytes()])?;
        put_due(transaction, &case.id, due)?;
    }
    for (recipient, event) in messages {
        outbox::put(transaction, recipient, event)?;
    }
    Ok(())
}

/// What is due next, of all cases.
pub(crate) fn next_due(connection: &Connection) -> Result<Option<(Uuid, CaseDue)>, StoreError> {
    let sql = "SELECT id, due, what FROM case_due ORDER BY due LIMIT 1";
    let row = connection
        .prepare_cached(sql)?
        .query_row([], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    row.map(|(id, due, what)| {
        let id = Uuid::from_slice(&id).map_err(|error| unreadable("case", &error))?;
        Ok((id, CaseDue { at: moment(due), end: what == self::what(true) }))
    })
    .transpose()
}

/// Puts off what is due.
pub(crate) fn put_off_due(
    connection: &Connection,
    id: &Uuid,
    due: CaseDue,
    until: SystemTime,
) -> Result<(), StoreError> {
    let sql = "UPDATE OR REPLACE case_due SET due = ?4 WHERE id = ?1 AND due = ?2 AND what = ?3";
    let (at, until) = (milliseconds(due.at), milliseconds(until));
    let row = params![id.as_bytes(), at, what(due.end), until];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(crate) const COLUMNS: &str =
    "id, event_type, sender, holder, opened_at, ends_at, suspended_at, closed";

fn put_due(transaction: &Transaction<'_>, id: &Uuid, due: &[CaseDue]) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO case_due (id, due, what) VALUES (?1, ?2, ?3)";
    let mut statement = transaction.prepare_cached(sql)?;
    for CaseDue { at, end } in due {
        statement.execute(params![id.as_bytes(), milliseconds(*at), what(*end)])?;
    }
    Ok(())
}

fn what(end: bool) -> &'static str {
    if end { "end" } else { "remind" }
}

pub(crate) fn read(row: &Row<'_>) -> Result<CaseFile, StoreError> {
    let wrong = |error: &dyn std::fmt::Display| unreadable("case", error);
    let party = |column: usize| -> Result<Oin, StoreError> {
        row.get::<_, String>(column)?.parse().map_err(|error| wrong(&error))
    };
    let id = row.get::<_, Vec<u8>>(0)?;
    Ok(CaseFile {
        id: Uuid::from_slice(&id).map_err(|error| wrong(&error))?,
        event_type: row.get(1)?,
        sender: party(2)?,
        holder: party(3)?,
        opened_at: moment(row.get(4)?),
        ends_at: row.get::<_, Option<i64>>(5)?.map(moment),
        suspended_at: row.get::<_, Option<i64>>(6)?.map(moment),
        closed: row.get(7)?,
        statuses: Vec::new(),
    })
}

pub(crate) fn with_statuses(
    connection: &Connection,
    case: CaseFile,
) -> Result<CaseFile, StoreError> {
    let sql = "SELECT status, party, at, event_id, correction FROM case_status
               WHERE id = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([case.id.as_bytes()], |row| {
        let correction: Option<[u8; 16]> = row.get(4)?;
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, correction))
    })?;
    let statuses = rows.map(|row| {
        let (status, party, at, event_id, correction) = row?;
        let party = party.parse().map_err(|error| unreadable("case", &error))?;
        let correction = correction.map(Uuid::from_bytes);
        Ok(CaseStatus { status, party, at: moment(at), event_id, correction })
    });
    Ok(CaseFile { statuses: statuses.collect::<Result<_, StoreError>>()?, ..case })
}

fn moment(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}
