//! The output of `cargo metadata` for the workspace, as far as the commands need it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use crate::process;

#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
}

#[derive(Deserialize, Default)]
pub struct Package {
    pub name: String,
    pub manifest_path: String,
    /// The registries it may be published to: `None` is any, an empty list is none.
    pub publish: Option<Vec<String>>,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
    pub features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Default)]
pub struct Dependency {
    pub name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub kind: Option<String>,
    pub optional: bool,
    /// The required version: `*` if there is none.
    pub req: String,
    pub path: Option<String>,
}

#[derive(Deserialize, Default)]
pub struct Target {
    pub kind: Vec<String>,
    pub src_path: String,
}

impl Metadata {
    /// Reads the workspace in the current directory, without its dependencies.
    pub fn of_workspace() -> anyhow::Result<Self> {
        let mut command = process::cargo(&["metadata", "--format-version", "1", "--no-deps"]);
        let text = process::run(&mut command, Duration::from_secs(120))?.into_text("cargo metadata")?;
        serde_json::from_str(&text).context("cargo metadata prints another format than we know")
    }

    pub fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_published())
    }

    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    pub fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Returns the root file of its library.
    pub fn library_root(&self) -> Option<&str> {
        let library = self.targets.iter().find(|target| target.is("lib") || target.is("proc-macro"))?;
        Some(&library.src_path)
    }
}

impl Target {
    pub fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|own| own == kind)
    }
}
