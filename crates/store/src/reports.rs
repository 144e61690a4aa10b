//! Cases that are reports of doubt about data, in SQL: which are about the same.
//!
//! What a report doubts is known here by a pseudonym only, and as long as the report is open.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::cases::{COLUMNS, put, read, with_statuses};
use crate::{CaseDue, CaseFile, NewKey, Pseudonym, Store, StoreError, signals};

/// What the tables are made by.
pub(crate) const TABLES: &str = "
    -- The message id of the correction that ended a report.
    ALTER TABLE case_status ADD COLUMN correction BLOB CHECK (length(correction) = 16);

    -- Reports that are open, with a pseudonym of what each doubts.
    CREATE TABLE report (
        id    BLOB PRIMARY KEY REFERENCES case_file (id) ON DELETE CASCADE,
        datum BLOB NOT NULL CHECK (length(datum) = 32)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX report_of_datum ON report (datum, id);
";

/// A report that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReport {
    /// The case that it is.
    pub case: CaseFile,
    /// What is due about it.
    pub due: Vec<CaseDue>,
    /// What it doubts.
    pub datum: Pseudonym,
    /// How many keys the pseudonym was made with.
    pub keys: u32,
}

/// What became of a report that was to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It is open from now on.
    New,
    /// It was opened before.
    Same,
    /// Pseudonyms are made with other keys; nothing was done.
    OtherKeys,
}

impl Store {
    /// Opens a case that is a report, known by a pseudonym of what it doubts until it is
    /// closed.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn open_report(&self, report: NewReport) -> Result<Opened, StoreError> {
        self.backend.open_report(report).await
    }

    /// The other reports that are open and doubt the same as this one, while it is open.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn reports_of_same(&self, id: Uuid) -> Result<Vec<CaseFile>, StoreError> {
        self.backend.reports_of_same(id).await
    }
}

pub(crate) fn open(connection: &mut Connection, report: &NewReport) -> Result<Opened, StoreError> {
    let NewReport { case, due, datum, keys } = report;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if signals::keys(&transaction)?.is_none_or(|known| known.count != *keys) {
        return Ok(Opened::OtherKeys);
    }
    if !put(&transaction, case, due)? {
        return Ok(Opened::Same);
    }
    let sql = "INSERT INTO report (id, datum) VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute(params![case.id.as_bytes(), datum])?;
    transaction.commit()?;
    Ok(Opened::New)
}

/// The other reports that are open and doubt the same, in the order of their ids.
pub(crate) fn of_same(connection: &Connection, id: &Uuid) -> Result<Vec<CaseFile>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM case_file
         WHERE closed = 0 AND id <> ?1 AND id IN (
             SELECT id FROM report WHERE datum = (SELECT datum FROM report WHERE id = ?1))
         ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([id.as_bytes()], |row| Ok(read(row)))?;
    rows.map(|row| with_statuses(connection, row??)).collect()
}

/// Forgets what a report doubted.
pub(crate) fn forget(transaction: &Transaction<'_>, id: &Uuid) -> Result<(), StoreError> {
    let sql = "DELETE FROM report WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute([id.as_bytes()])?;
    Ok(())
}

/// Puts another key over the pseudonyms of all reports.
pub(crate) fn wrap_all(transaction: &Transaction<'_>, key: &NewKey) -> Result<(), StoreError> {
    let mut all = transaction.prepare("SELECT id, datum FROM report")?;
    let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all: Vec<([u8; 16], Pseudonym)> = all.collect::<Result<_, _>>()?;
    let mut change = transaction.prepare("UPDATE report SET datum = ?2 WHERE id = ?1")?;
    for (id, datum) in all {
        change.execute(params![id, (key.wrap)(&datum)])?;
    }
    Ok(())
}
