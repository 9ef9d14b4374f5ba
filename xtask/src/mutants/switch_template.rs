//! The switch of the changed code: which change is made in this run.
//!
//! `MUTANT` names the change. `MUTANT_REACHED` instead names a file to which the run appends the
//! changes that it reaches. With `MUTANT_ABORT` the first panic ends the process.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const UNREAD: u32 = u32::MAX;
const RECORDING: u32 = u32::MAX - 1;
const NONE: u32 = u32::MAX - 2;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static SEEN: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];
static REACHED: OnceLock<File> = OnceLock::new();

/// Whether this change is the one to make.
#[inline]
pub fn on(id: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    if active >= RECORDING { slow(id) } else { active == id }
}

#[cold]
fn slow(id: u32) -> bool {
    if ACTIVE.load(Relaxed) == UNREAD {
        read();
    }
    if ACTIVE.load(Relaxed) == RECORDING && !SEEN[id as usize].swap(true, Relaxed) {
        let mut line = [0; 16];
        let mut rest = &mut line[..];
        writeln!(rest, "{id}").expect("a number is short");
        let len = 16 - rest.len();
        REACHED.get().expect("it was opened").write_all(&line[..len]).expect("the list can be written");
    }
    ACTIVE.load(Relaxed) == id
}

fn read() {
    if let Ok(path) = std::env::var("MUTANT_REACHED") {
        REACHED.get_or_init(|| {
            File::options().append(true).create(true).open(path).expect("the list can be opened")
        });
        ACTIVE.store(RECORDING, Relaxed);
    } else {
        let id = std::env::var("MUTANT").map_or(NONE, |id| id.parse().expect("a number"));
        ACTIVE.store(id, Relaxed);
    }
    if std::env::var_os("MUTANT_ABORT").is_some() {
        let reported = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            reported(info);
            std::process::exit(101);
        }));
    }
}
