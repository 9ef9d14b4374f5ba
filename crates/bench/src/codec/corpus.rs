//! The stories of http2jp's hpack-test-case, read where they lie beside the project.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A header list as its strings.
pub type List = Vec<(Vec<u8>, Vec<u8>)>;

/// One block of a story.
#[derive(Debug)]
pub struct Case {
    /// The table size that was set and acknowledged just before this block.
    pub table_bytes: Option<u32>,
    /// The block; empty in the raw lists.
    pub wire: Vec<u8>,
    /// What it decodes to.
    pub list: List,
}

/// The directories that hold blocks: one for each encoder that took part. `raw-data` has only
/// lists.
pub const ENCODERS: [&str; 14] = [
    "go-hpack",
    "haskell-http2-linear",
    "haskell-http2-linear-huffman",
    "haskell-http2-naive",
    "haskell-http2-naive-huffman",
    "haskell-http2-static",
    "haskell-http2-static-huffman",
    "nghttp2",
    "nghttp2-16384-4096",
    "nghttp2-change-table-size",
    "node-http2-hpack",
    "python-hpack",
    "swift-nio-hpack-huffman",
    "swift-nio-hpack-plain-text",
];

/// Returns the folder of the corpus.
///
/// # Errors
///
/// The corpus is absent; the text names the path.
pub fn directory() -> Result<PathBuf, String> {
    let shared = std::env::var_os("THALWEG_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let directory = shared.join("data/hpack-test-case");
    if directory.is_dir() { Ok(directory) } else { Err(format!("{} is absent", directory.display())) }
}

/// Returns all stories of one encoder's directory, in order of their names.
///
/// # Errors
///
/// When the corpus is absent or cannot be read.
pub fn sessions(encoder: &str) -> Result<Vec<Vec<Case>>, String> {
    let directory = directory()?.join(encoder);
    let entries = std::fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| session(path).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

fn session(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read(path).map_err(|e| e.to_string())?;
    let json: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let cases = json["cases"].as_array().ok_or("has no cases")?;
    cases.iter().map(|each| case(each).ok_or_else(|| format!("not a case: {each}"))).collect()
}

fn case(json: &Value) -> Option<Case> {
    let table_bytes = match json.get("header_table_size") {
        None | Some(Value::Null) => None,
        Some(bytes) => Some(u32::try_from(bytes.as_u64()?).ok()?),
    };
    let wire = unhex(json.get("wire").map_or(Some(""), Value::as_str)?)?;
    let list = json["headers"].as_array()?.iter().map(field).collect::<Option<List>>()?;
    Some(Case { table_bytes, wire, list })
}

fn field(json: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, value) = json.as_object()?.iter().next()?;
    Some((name.clone().into_bytes(), value.as_str()?.as_bytes().to_vec()))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}
