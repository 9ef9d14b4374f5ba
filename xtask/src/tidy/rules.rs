//! The rules of the project that a compiler does not keep, in tables.

/// What a published crate may depend on. All else is refused.
pub struct CrateRule {
    pub name: &'static str,
    /// Without I/O: its root has `#![no_std]`.
    pub is_protocol: bool,
    pub always: &'static [&'static str],
    /// Only behind a feature. That a feature which shows in the API bears the crate's name is for
    /// review.
    pub optional: &'static [&'static str],
}

pub const CRATES: &[CrateRule] = &[
    CrateRule { name: "thalweg-hpack", is_protocol: true, always: &[], optional: &[] },
    CrateRule {
        name: "thalweg",
        is_protocol: true,
        always: &["thalweg-hpack", "smallvec"],
        optional: &["bytes", "http", "arbitrary"],
    },
    CrateRule { name: "thalweg-http", is_protocol: true, always: &["thalweg"], optional: &[] },
    CrateRule { name: "thalweg-h2c", is_protocol: true, always: &["httparse", "base64"], optional: &[] },
    CrateRule {
        name: "thalweg-record",
        is_protocol: true,
        always: &["thalweg", "thalweg-hpack"],
        optional: &["bytes"],
    },
    CrateRule {
        name: "thalweg-io",
        is_protocol: false,
        always: &["thalweg", "thalweg-h2c", "bytes"],
        optional: &["rustls", "thalweg-record"],
    },
    CrateRule {
        name: "thalweg-tokio",
        is_protocol: false,
        always: &[
            "thalweg",
            "thalweg-h2c",
            "thalweg-http",
            "thalweg-io",
            "bytes",
            "http",
            "http-body",
            "pin-project-lite",
            "tokio",
            "tower-service",
        ],
        optional: &["rustls", "thalweg-record", "tokio-rustls", "tonic", "tracing"],
    },
    CrateRule {
        name: "thalweg-threads",
        is_protocol: false,
        always: &["thalweg", "thalweg-h2c", "thalweg-http", "thalweg-io", "bytes", "mio"],
        optional: &["http", "rustls", "thalweg-record", "tracing"],
    },
];

/// What the dependency tree of a crate may contain.
pub struct TreeRule {
    pub name: &'static str,
    pub features: &'static [&'static str],
    pub tree: Tree,
}

pub enum Tree {
    /// Exactly these besides itself.
    Only(&'static [&'static str]),
    /// None whose name is one of these, or begins with one of these and a hyphen.
    Without(&'static [&'static str]),
}

pub const TREES: &[TreeRule] = &[
    TreeRule { name: "thalweg-hpack", features: &["--no-default-features"], tree: Tree::Only(&[]) },
    TreeRule {
        name: "thalweg",
        features: &["--no-default-features"],
        tree: Tree::Only(&["thalweg-hpack", "smallvec"]),
    },
    // The program chooses its provider of cryptography: rustls panics where it finds two.
    TreeRule {
        name: "thalweg-io",
        features: &["--features", "rustls"],
        tree: Tree::Without(&["ring", "aws-lc"]),
    },
    TreeRule {
        name: "thalweg-io",
        features: &["--all-features"],
        tree: Tree::Without(&["tokio", "mio", "async-std", "smol", "futures"]),
    },
    TreeRule {
        name: "thalweg-tokio",
        features: &["--features", "rustls"],
        tree: Tree::Without(&["ring", "aws-lc"]),
    },
    TreeRule {
        name: "thalweg-threads",
        features: &["--features", "rustls"],
        tree: Tree::Without(&["ring", "aws-lc"]),
    },
    TreeRule {
        name: "thalweg-threads",
        features: &["--all-features"],
        tree: Tree::Without(&["tokio", "async-std", "smol", "futures"]),
    },
];

pub const LINES_MAX: usize = 800;

/// The first line of a generated table, which has no limit: it names the command that makes it.
pub const GENERATED_MARK: &str = "cargo xtask gen";

/// A piece of text that no committed file holds.
pub struct Word {
    pub text: &'static str,
    pub place: Place,
    pub why: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Any file.
    Anywhere,
    /// Rust source.
    Rust,
    /// Any file, where it begins a path.
    PathStart,
}

pub const WORDS: &[Word] = &[
    Word { text: "/root/", place: Place::PathStart, why: "a path of one machine" },
    Word { text: "/home/", place: Place::PathStart, why: "a path of one machine" },
    Word { text: "/work/", place: Place::PathStart, why: "a path of one machine" },
    Word { text: "todo!", place: Place::Rust, why: "unfinished" },
    Word { text: "unimplemented!", place: Place::Rust, why: "unfinished" },
    Word { text: "// TODO", place: Place::Rust, why: "unfinished: an issue holds it, not the source" },
    Word { text: "// FIXME", place: Place::Rust, why: "unfinished: an issue holds it, not the source" },
    Word { text: "#[ignore", place: Place::Rust, why: "a test that does not run" },
    Word { text: "dbg!", place: Place::Rust, why: "left from debugging" },
    Word { text: "<<<<<<< ", place: Place::Anywhere, why: "an unsolved merge" },
];

/// The one file that may contain this text.
pub const WORDS_FILE: &str = "xtask/src/tidy/rules.rs";

/// The registry of every package in a lock file that is not a path: the file's name, the key of the
/// source, and how its value begins.
pub const LOCK_SOURCES: &[(&str, &str, &str)] = &[
    ("Cargo.lock", "source = \"", "registry+https://github.com/rust-lang/crates.io-index\""),
    ("package-lock.json", "\"resolved\": \"", "https://registry.npmjs.org/"),
];
