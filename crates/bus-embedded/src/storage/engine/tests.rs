//! What the simulated engine takes for granted is so with fjall.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::simulated::{Disk, Fault};
use super::*;

const NAMES: [&str; 2] = ["one", "other"];

/// A batch: keyspace, key, and value unless it is removed.
type Changes = Vec<(usize, u8, Option<u8>)>;

/// An engine with its keyspaces.
struct Engine {
    database: Database,
    keyspaces: Vec<Keyspace>,
}

impl Engine {
    fn on(database: Database) -> Self {
        let keyspaces = NAMES.iter().map(|name| database.keyspace(name).unwrap()).collect();
        Self { database, keyspaces }
    }

    fn in_directory(path: &Path) -> Self {
        Self::on(Database::open(path, 1 << 20).unwrap())
    }

    fn commit(&self, changes: &Changes, persist: PersistMode) -> Result<()> {
        let mut batch = self.database.batch(changes.len());
        for (keyspace, key, value) in changes {
            let keyspace = &self.keyspaces[*keyspace];
            match value {
                Some(value) => batch.insert(keyspace, [*key], [*value; 100]),
                None => batch.remove(keyspace, [*key]),
            }
        }
        assert_eq!(batch.is_empty(), changes.is_empty());
        batch.commit(persist)
    }

    fn all(&self) -> Vec<Vec<KvPair>> {
        let all = |keyspace: &Keyspace| read(keyspace.iter());
        self.keyspaces.iter().map(all).collect()
    }
}

fn read(entries: impl Iterator<Item = Entry>) -> Vec<KvPair> {
    entries.map(|entry| entry.into_inner().unwrap()).collect()
}

fn batches() -> impl Strategy<Value = Vec<Changes>> {
    let change = (0..NAMES.len(), 0..20_u8, prop::option::weighted(0.7, any::<u8>()));
    // A key once in a batch: which of two wins is nothing that the bus asks for.
    let unique = |mut changes: Changes| {
        changes.sort_by_key(|(keyspace, key, _)| (*keyspace, *key));
        changes.dedup_by_key(|(keyspace, key, _)| (*keyspace, *key));
        changes
    };
    prop::collection::vec(prop::collection::vec(change, 0..8).prop_map(unique), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_read_the_same(
        batches in batches(),
        ranges in prop::collection::vec((0..20_u8, 0..20_u8, any::<[bool; 2]>()), 20),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let real = Engine::in_directory(directory.path());
        let simulated = Engine::on(Database::Simulated(Disk::default()));
        for changes in &batches {
            for engine in [&real, &simulated] {
                engine.commit(changes, PersistMode::Buffer).unwrap();
            }
        }
        prop_assert_eq!(real.all(), simulated.all());
        for (real, simulated) in real.keyspaces.iter().zip(&simulated.keyspaces) {
            prop_assert_eq!(real.is_empty().unwrap(), simulated.is_empty().unwrap());
            for end in [Keyspace::first_key_value, Keyspace::last_key_value] {
                prop_assert_eq!(read(end(real).into_iter()), read(end(simulated).into_iter()));
            }
            for (from, to, [excluded, backward]) in &ranges {
                // The bus asks for no range that ends before it begins.
                let (from, to) = ([*from.min(to)], [*from.max(to)]);
                let start = if *excluded { Bound::Excluded(from) } else { Bound::Included(from) };
                let range = (start, Bound::Included(to));
                let [real, simulated] = [real, simulated].map(|keyspace| {
                    let entries = keyspace.range(range);
                    if *backward { read(entries.rev()) } else { read(entries) }
                });
                prop_assert_eq!(real, simulated);
            }
            for key in 0..20_u8 {
                prop_assert_eq!(real.get([key]).unwrap(), simulated.get([key]).unwrap());
            }
        }
    }
}

/// A journal that breaks off anywhere has all batches up to one, each whole.
#[test]
fn a_journal_that_breaks_off_has_whole_batches() {
    const BATCHES: u8 = 40;
    let directory = tempfile::tempdir().unwrap();
    let written = directory.path().join("written");
    let engine = Engine::in_directory(&written);
    for number in 0..BATCHES {
        let changes = vec![(0, number, Some(number)), (1, number, Some(number))];
        engine.commit(&changes, PersistMode::Buffer).unwrap();
    }
    let journal = journal_of(&written);
    let end = {
        let mut bytes = Vec::new();
        File::open(&journal).unwrap().read_to_end(&mut bytes).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
    };
    let mut found = Vec::new();
    for cut in 0..16 {
        let copy = directory.path().join(format!("cut-{cut}"));
        copy_all(&written, &copy);
        let length = (end * cut / 16) as u64;
        OpenOptions::new().write(true).open(journal_of(&copy)).unwrap().set_len(length).unwrap();
        let all = Engine::in_directory(&copy).all();
        assert_eq!(all[0], all[1], "a batch is there in part");
        let keys: Vec<u8> = all[0].iter().map(|(key, _)| key[0]).collect();
        assert!(keys.iter().copied().eq((0..BATCHES).take(keys.len())), "{keys:?}");
        found.push(keys.len());
    }
    assert!(found.is_sorted() && found[15] > found[4], "{found:?}");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn journal_of(directory: &Path) -> PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut journals = files.filter(|path| path.extension().is_some_and(|end| end == "jnl"));
    journals.next().unwrap()
}

#[test]
fn a_write_that_fails_is_there_later_or_never() {
    for kept in [true, false] {
        let disk = Disk::default();
        let engine = Engine::on(Database::Simulated(disk.clone()));
        let change = |key| vec![(0, key, Some(key))];
        engine.commit(&change(1), PersistMode::SyncData).unwrap();
        engine.commit(&change(2), PersistMode::Buffer).unwrap();
        disk.set_fault(Some(Fault { after: 0, kept }));
        assert!(engine.commit(&change(3), PersistMode::SyncData).is_err());
        assert!(engine.commit(&change(4), PersistMode::SyncData).is_err(), "and all later ones");
        assert!(engine.database.persist(PersistMode::SyncData).is_err());
        assert_eq!((engine.all()[0].len(), disk.unsynced()), (2, 1), "what is read is what was");
        disk.crash(0);
        assert_eq!(engine.all()[0].len(), if kept { 3 } else { 2 });

        engine.commit(&change(5), PersistMode::Buffer).unwrap();
        engine.commit(&change(1), PersistMode::Buffer).unwrap();
        disk.crash(2);
        assert_eq!(engine.all()[0].len(), if kept { 3 } else { 2 });
    }
}
