//! A directory as a web site: maps a request's path to a file, and denies paths outside the
//! directory.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::content_type;

/// A served directory. Files outside of it are never served, whatever the path or link.
#[derive(Clone, Debug)]
pub struct Site {
    root: PathBuf,
}

/// The target of a path.
#[derive(Debug)]
pub enum Entry {
    /// A file, opened.
    File {
        /// The file, at its beginning.
        file: File,
        /// Its length, bytes.
        len: u64,
        /// Its content type.
        content_type: &'static str,
    },
    /// A directory: a page in HTML with a link for each entry.
    Page(String),
    /// A directory that was requested without its final slash: the path with the slash.
    Moved(String),
}

impl Site {
    /// Serves `root`.
    ///
    /// # Errors
    /// It does not exist or is no directory; the text names it.
    pub fn new(root: &Path) -> Result<Self, String> {
        let describe = |error: &dyn std::fmt::Display| format!("root {}: {error}", root.display());
        let real = fs::canonicalize(root).map_err(|error| describe(&error))?;
        if real.is_dir() { Ok(Self { root: real }) } else { Err(describe(&"not a directory")) }
    }

    /// Finds the target of a request. Blocks on the file system.
    ///
    /// # Errors
    /// `NotFound`, also for every path that leads out of the root, so that a client cannot probe
    /// for files there.
    pub fn find(&self, target: &str) -> io::Result<Entry> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let relative = relative(path).ok_or_else(missing)?;
        let real = fs::canonicalize(self.root.join(relative))?;
        if !real.starts_with(&self.root) {
            return Err(missing());
        }
        let metadata = fs::metadata(&real)?;
        match (metadata.is_dir(), path.ends_with('/')) {
            (true, true) => Ok(Entry::Page(page(path, &real)?)),
            (true, false) => Ok(Entry::Moved(format!("{path}/"))),
            // A pipe or a device would block, or never end.
            (false, false) if metadata.is_file() => {
                let file = File::open(&real)?;
                let len = file.metadata()?.len();
                Ok(Entry::File { file, len, content_type: content_type::of(&real) })
            }
            (false, _) => Err(missing()),
        }
    }
}

/// Decodes a path and makes it relative; `None` if it is malformed or leads out of the root.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = decode(path.strip_prefix('/')?)?;
    let mut relative = PathBuf::new();
    for segment in decoded.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
        if segment == b"." || segment == b".." || segment.contains(&0) || segment.contains(&b'\\') {
            return None;
        }
        relative.push(os_string(segment)?);
    }
    Some(relative)
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(OsString::from_vec(bytes.to_vec()))
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    // A colon could name a drive or an alternate stream.
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains(':')).then(|| text.into())
}

/// Decodes percent-encoding (RFC 3986 §2.1).
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            _ => byte,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Returns the page of a directory: its entries, directories first, each a link.
fn page(path: &str, directory: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_file = !entry.path().is_dir();
        entries.push((is_file, entry.file_name()));
    }
    entries.sort();
    let title = escape(&String::from_utf8_lossy(&decode(path).unwrap_or_default()));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n<ul>\n"
    );
    if path != "/" {
        html.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for (is_file, name) in entries {
        let slash = if is_file { "" } else { "/" };
        let (href, text) = (encode(name.as_encoded_bytes()), escape(&name.to_string_lossy()));
        writeln!(html, "<li><a href=\"{href}{slash}\">{text}{slash}</a></li>").expect("writing to a String");
    }
    html.push_str("</ul>\n</body>\n</html>\n");
    Ok(html)
}

/// Percent-encodes a path segment; the result needs no escaping in HTML.
fn encode(segment: &[u8]) -> String {
    let mut encoded = String::new();
    for &byte in segment {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String");
        }
    }
    encoded
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Creates a site in a separate directory, with an inaccessible file beside its root.
    fn site(name: &str) -> (Site, PathBuf) {
        let base = std::env::temp_dir().join(format!("thalweg-site-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let root = base.join("root");
        fs::create_dir_all(root.join("inner")).unwrap();
        fs::write(base.join("secret.txt"), "secret").unwrap();
        fs::write(root.join("a <b>&.txt"), "hello").unwrap();
        fs::write(root.join("inner/c.html"), "<p>").unwrap();
        (Site::new(&root).unwrap(), base)
    }

    fn read(entry: Entry) -> String {
        match entry {
            Entry::File { mut file, len, .. } => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text.len() as u64, len);
                text
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn files_are_found_and_directories_listed() {
        let (site, base) = site("found");
        assert_eq!(read(site.find("/a%20%3Cb%3E&.txt").unwrap()), "hello");
        assert_eq!(read(site.find("/inner/c.html?x=/..").unwrap()), "<p>");
        let Entry::Page(page) = site.find("/").unwrap() else { panic!("no page") };
        assert!(page.contains("<a href=\"inner/\">inner/</a>"), "{page}");
        assert!(page.contains("<a href=\"a%20%3Cb%3E%26.txt\">a &lt;b&gt;&amp;.txt</a>"), "{page}");
        assert!(!page.contains("../"));
        let Entry::Page(inner) = site.find("/inner/").unwrap() else { panic!("no page") };
        assert!(inner.contains("<a href=\"../\">"), "{inner}");
        assert!(matches!(site.find("/inner"), Ok(Entry::Moved(to)) if to == "/inner/"));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn no_path_leads_out_of_the_root() {
        let (site, base) = site("out");
        for target in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/%2E%2e%2fsecret.txt",
            "/inner/../../secret.txt",
            "/..%5csecret.txt",
            "//../secret.txt",
            "/inner/..",
            "/./a",
            "/a%00.txt",
            "/%zz",
            "/%2",
            "secret.txt",
            "*",
            "",
            "/nothing",
            "/inner/c.html/",
        ] {
            let error = site.find(target).expect_err(target);
            let refused = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
            assert!(refused.contains(&error.kind()), "{target}: {error}");
        }
        let absolute = format!("/{}", base.join("secret.txt").display());
        assert!(site.find(&absolute).is_err());
        fs::remove_dir_all(base).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_only_within_the_root() {
        let (site, base) = site("links");
        std::os::unix::fs::symlink("../secret.txt", base.join("root/out.txt")).unwrap();
        std::os::unix::fs::symlink("inner/c.html", base.join("root/in.html")).unwrap();
        assert_eq!(read(site.find("/in.html").unwrap()), "<p>");
        assert_eq!(site.find("/out.txt").unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_missing_root_is_named_in_the_error() {
        let error = Site::new(Path::new("no-such-directory")).unwrap_err();
        assert!(error.starts_with("root no-such-directory: "), "{error}");
        let error = Site::new(Path::new("Cargo.toml")).unwrap_err();
        assert_eq!(error, "root Cargo.toml: not a directory");
    }
}
