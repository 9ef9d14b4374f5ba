//! The fixtures of the rows: the files that servers serve, a folder for what clients fetch, our
//! programs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, ensure};

use super::chromium::Browser;

/// The amount of work for the programs.
#[derive(Clone, Copy)]
pub struct Load {
    pub download_bytes: usize,
    pub upload_bytes: usize,
    /// Of `h2load`.
    pub requests: u32,
    /// Calls in the burst of grpc-go.
    pub go_calls: u32,
    /// Calls in the burst of grpcio.
    pub python_calls: u32,
}

impl Load {
    pub const SMOKE: Self = Self {
        download_bytes: 10_000_000,
        upload_bytes: 5_000_000,
        requests: 10_000,
        go_calls: 4_000,
        python_calls: 1_200,
    };
    pub const FULL: Self = Self {
        download_bytes: 100_000_000,
        upload_bytes: 50_000_000,
        requests: 100_000,
        go_calls: 20_000,
        python_calls: 6_000,
    };
}

pub const PAGE: &str = "<!doctype html>\n<title>Thalweg</title>\n<p>The line of fastest flow.\n";
pub const PAGE_PATH: &str = "/page.html";
pub const DOWNLOAD_PATH: &str = "/download.bin";
/// A file beside the served folder: no request may reach it.
pub const SECRET: &str = "not for you";
pub const BYTES_PATH: &str = "/bytes/1000000?seed=7";

pub struct Fixtures {
    folder: PathBuf,
    pub load: Load,
    examples: BTreeMap<String, PathBuf>,
    notes: RefCell<Vec<String>>,
    /// The browser, which the first row that needs it starts.
    pub browser: RefCell<Option<Browser>>,
}

impl Fixtures {
    pub fn new(load: Load, examples: BTreeMap<String, PathBuf>) -> anyhow::Result<Self> {
        let folder = std::env::current_dir()?.join(format!("target/xtask/interop-{}", std::process::id()));
        let fixtures =
            Self { folder, load, examples, notes: RefCell::default(), browser: RefCell::default() };
        fixtures.write_files().with_context(|| format!("{} cannot be filled", fixtures.folder.display()))?;
        Ok(fixtures)
    }

    fn write_files(&self) -> io::Result<()> {
        let root = self.root();
        fs::create_dir_all(root.join("folder"))?;
        fs::write(root.join("page.html"), PAGE)?;
        fs::write(root.join("folder/note.txt"), "a note\n")?;
        fs::write(self.folder.join("secret.txt"), SECRET)?;
        write_noise(&root.join("download.bin"), self.load.download_bytes)?;
        write_noise(&self.upload(), self.load.upload_bytes)
    }

    /// Returns the folder that is served.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Returns a file to send.
    pub fn upload(&self) -> PathBuf {
        self.folder.join("upload.bin")
    }

    /// Returns a file to receive into. There is one, as one row runs at a time.
    pub fn received(&self) -> PathBuf {
        self.folder.join("received")
    }

    /// Adds a note to a check that passes.
    pub fn note(&self, note: String) {
        self.notes.borrow_mut().push(note);
    }

    pub fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// Returns the names of our programs that exist.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        self.examples.keys().map(String::as_str)
    }

    pub fn example(&self, name: &str) -> anyhow::Result<&Path> {
        let file = self.examples.get(name).with_context(|| format!("the example {name} does not exist"))?;
        Ok(file)
    }
}

impl Drop for Fixtures {
    fn drop(&mut self) {
        self.browser.take();
        // What remains is below `target`, and nothing reads it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Bytes that do not repeat within a block, and blocks that hold their own number.
fn write_noise(path: &Path, len: usize) -> io::Result<()> {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut block: Vec<u8> = (0..1_000_000).map(|_| noise()).collect();
    let mut file = io::BufWriter::new(fs::File::create(path)?);
    let mut left = len;
    for number in 0_u64.. {
        if left == 0 {
            break;
        }
        block[..8].copy_from_slice(&number.to_be_bytes());
        let part = left.min(block.len());
        file.write_all(&block[..part])?;
        left -= part;
    }
    file.flush()
}

/// Returns the response body of `GET /bytes/LEN?seed=SEED`.
pub fn contract_bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (seed * 131 + i * 7 + (i >> 8) * 13) as u8).collect()
}

/// Fails with the place of the first difference.
pub fn compare(received: &[u8], expected: &[u8]) -> anyhow::Result<()> {
    let lens = format!("{} bytes received, {} expected", received.len(), expected.len());
    let different = received.iter().zip(expected).position(|(one, other)| one != other);
    ensure!(different.is_none(), "{lens}, and byte {} differs", different.unwrap_or_default());
    ensure!(received.len() == expected.len(), "{lens}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparing_finds_the_place_and_the_length() {
        assert!(compare(b"abc", b"abc").is_ok());
        assert!(compare(b"abx", b"abc").unwrap_err().to_string().ends_with("byte 2 differs"));
        assert_eq!(compare(b"ab", b"abc").unwrap_err().to_string(), "2 bytes received, 3 expected");
        assert_eq!(compare(b"abcd", b"abc").unwrap_err().to_string(), "4 bytes received, 3 expected");
    }

    #[test]
    fn the_contract_is_the_one_of_the_servers() {
        let bytes = contract_bytes(1000, 7);
        assert_eq!(bytes.len(), 1000);
        for (i, expected) in [(0, 149), (1, 156), (256, 162), (999, (917 + 6993 + 39) % 256)] {
            assert_eq!(usize::from(bytes[i]), expected, "byte {i}");
        }
    }
}
