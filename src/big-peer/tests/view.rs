//! The fjall view passes the suite of every store, and is made again whenever it does not fit its log.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use big_peer::metrics::Metrics;
use big_peer::view::{LogPosition, Rebuild, View};
use store::{Batch, Key, Store};
use value::{Seq, StoreId};

const LOG: LogPosition = LogPosition { store: StoreId(7), head: Seq(100) };

fn open(directory: &Path, log: LogPosition) -> (View, Option<Rebuild>) {
    View::open(directory, log, &Arc::new(Metrics::default())).expect("a view can be made")
}

fn put(view: &mut View, seq: u64, name: &str) {
    let mut batch = Batch::new(Seq(seq));
    batch.put(Key::meta(name), name.as_bytes().to_vec());
    view.apply(batch).expect("the disk has room");
}

#[test]
fn the_view_is_a_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let count = Cell::new(0);
    store::conformance::store_suite(|| {
        count.set(count.get() + 1);
        open(&directory.path().join(count.get().to_string()), LOG).0
    });
}

#[test]
fn a_reopened_view_has_its_rows_and_position() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("view");
    let (mut view, rebuild) = open(&path, LOG);
    assert_eq!(rebuild, Some(Rebuild::Missing));
    put(&mut view, 5, "a");
    drop(view);
    let (view, rebuild) = open(&path, LOG);
    assert_eq!((rebuild, view.applied()), (None, Seq(5)));
    assert_eq!(view.get(&Key::meta("a")), Ok(Some(b"a".to_vec())));
}

#[test]
fn a_view_that_does_not_fit_its_log_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("view");
    let fill = || {
        let (mut view, _) = open(&path, LOG);
        put(&mut view, 50, "a");
    };
    fill();
    let (view, rebuild) = open(&path, LogPosition { head: Seq(49), ..LOG });
    assert_eq!((rebuild, view.applied()), (Some(Rebuild::Ahead(Seq(50))), Seq(0)));
    assert_eq!(view.get(&Key::meta("a")), Ok(None));
    drop(view);
    fill();
    let (view, rebuild) = open(&path, LogPosition { store: StoreId(8), ..LOG });
    assert_eq!((rebuild, view.applied()), (Some(Rebuild::Foreign), Seq(0)));
}

#[test]
fn a_damaged_view_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("view");
    let (mut view, _) = open(&path, LOG);
    put(&mut view, 5, "a");
    drop(view);
    for entry in fs::read_dir(&path).expect("the view is a directory") {
        let file = entry.expect("an entry").path();
        if file.is_file() {
            fs::write(&file, b"nonsense").expect("writable");
        }
    }
    let (view, rebuild) = open(&path, LOG);
    assert!(matches!(rebuild, Some(Rebuild::Damaged(_))), "{rebuild:?}");
    assert_eq!(view.applied(), Seq(0));
}
