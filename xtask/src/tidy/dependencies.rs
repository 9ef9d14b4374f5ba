//! Checks what each crate depends on.

use super::rules::{CrateRule, Tree, TreeRule};
use crate::metadata::{Dependency, Package};

/// Checks what the published packages declare against their rules, and what they may not take from
/// the others.
pub fn faults(packages: &[Package], rules: &[CrateRule]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| package.is_published()) {
        let name = &package.name;
        match rules.iter().find(|rule| rule.name == name) {
            Some(rule) => {
                faults.extend(package.dependencies.iter().filter_map(|dependency| fault(rule, dependency)));
            }
            None => faults.push(format!("{name}: published, but without a rule in xtask tidy")),
        }
        let unpublished = |dependency: &&Dependency| {
            packages.iter().any(|other| other.name == dependency.name && !other.is_published())
        };
        for dependency in package.dependencies.iter().filter(unpublished) {
            let is_only_a_path = dependency.path.is_some() && dependency.req == "*";
            if dependency.kind.as_deref() != Some("dev") || !is_only_a_path {
                faults.push(format!(
                    "{name}: depends on {}, which is unpublished: only a dev-dependency by path alone may",
                    dependency.name
                ));
            }
        }
    }
    faults
}

fn fault(rule: &CrateRule, dependency: &Dependency) -> Option<String> {
    let (name, other) = (rule.name, dependency.name.as_str());
    match dependency.kind.as_deref() {
        Some("dev") => None,
        Some(kind) => Some(format!("{name}: has the {kind}-dependency {other}, where it may have none")),
        None if rule.always.contains(&other) => None,
        None if rule.optional.contains(&other) && dependency.optional => None,
        None if rule.optional.contains(&other) => {
            Some(format!("{name}: depends on {other} always, where it may behind a feature only"))
        }
        None => Some(format!("{name}: may not depend on {other}")),
    }
}

/// Checks the packages that a crate is built from (itself included, in any order, again and again)
/// against its rule.
pub fn tree_faults(rule: &TreeRule, tree: &[String]) -> Vec<String> {
    let is_allowed = |other: &str| match rule.tree {
        Tree::Only(allowed) => allowed.contains(&other),
        Tree::Without(banned) => !banned
            .iter()
            .any(|ban| other.strip_prefix(ban).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))),
    };
    let mut disallowed: Vec<&str> = tree.iter().map(String::as_str).collect();
    disallowed.retain(|other| *other != rule.name && !is_allowed(other));
    disallowed.sort_unstable();
    disallowed.dedup();
    let features = rule.features.join(" ");
    let describe = |other| format!("{} {features}: has {other} in its tree", rule.name);
    let mut faults: Vec<String> = disallowed.into_iter().map(describe).collect();
    if !tree.iter().any(|other| other == rule.name) {
        faults.push(format!("{}: cargo tree shows no tree", rule.name));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[CrateRule] =
        &[CrateRule { name: "core", is_protocol: true, always: &["codec"], optional: &["bytes"] }];

    fn published(dependencies: Vec<Dependency>) -> Package {
        Package { name: "core".into(), dependencies, ..Package::default() }
    }

    fn unpublished(name: &str) -> Package {
        Package { name: name.into(), publish: Some(Vec::new()), ..Package::default() }
    }

    fn dependency(name: &str, kind: Option<&str>, optional: bool) -> Dependency {
        Dependency {
            name: name.into(),
            kind: kind.map(Into::into),
            optional,
            req: "^1".into(),
            ..Dependency::default()
        }
    }

    fn only_fault(packages: &[Package]) -> String {
        let mut faults = faults(packages, RULES);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.remove(0)
    }

    #[test]
    fn what_the_rule_allows_is_no_fault() {
        let allowed = vec![
            dependency("codec", None, false),
            dependency("bytes", None, true),
            dependency("proptest", Some("dev"), false),
        ];
        assert_eq!(faults(&[published(allowed)], RULES), Vec::<String>::new());
    }

    #[test]
    fn an_unlisted_dependency_is_a_fault() {
        let package = published(vec![dependency("tokio", None, false)]);
        assert_eq!(only_fault(&[package]), "core: may not depend on tokio");
    }

    #[test]
    fn an_unlisted_optional_dependency_is_a_fault() {
        let package = published(vec![dependency("tokio", None, true)]);
        assert_eq!(only_fault(&[package]), "core: may not depend on tokio");
    }

    #[test]
    fn an_optional_one_may_not_be_there_always() {
        let package = published(vec![dependency("bytes", None, false)]);
        assert!(only_fault(&[package]).contains("behind a feature only"));
    }

    #[test]
    fn a_build_dependency_is_refused() {
        let package = published(vec![dependency("codec", Some("build"), false)]);
        assert!(only_fault(&[package]).contains("build-dependency codec"));
    }

    #[test]
    fn a_published_package_needs_a_rule() {
        let package = Package { name: "newcomer".into(), ..Package::default() };
        assert!(only_fault(&[package]).contains("without a rule"));
    }

    #[test]
    fn an_unpublished_package_needs_none() {
        assert_eq!(faults(&[unpublished("testkit")], RULES), Vec::<String>::new());
    }

    #[test]
    fn the_test_kit_may_be_a_dev_dependency_by_path_only() {
        let by_path = Dependency { req: "*".into(), path: Some("../testkit".into()), ..dev("testkit") };
        assert_eq!(faults(&[published(vec![by_path]), unpublished("testkit")], RULES), Vec::<String>::new());

        let with_version = Dependency { path: Some("../testkit".into()), ..dev("testkit") };
        let fault = only_fault(&[published(vec![with_version]), unpublished("testkit")]);
        assert!(fault.contains("by path alone"), "{fault}");
    }

    fn dev(name: &str) -> Dependency {
        dependency(name, Some("dev"), false)
    }

    #[test]
    fn the_test_kit_may_not_be_shipped() {
        let by_path =
            Dependency { req: "*".into(), path: Some("p".into()), ..dependency("codec", None, false) };
        let fault = only_fault(&[published(vec![by_path]), unpublished("codec")]);
        assert!(fault.contains("which is unpublished"), "{fault}");
    }

    fn tree_faults_of(tree: Tree, names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        tree_faults(&TreeRule { name: "core", features: &[], tree }, &names)
    }

    #[test]
    fn a_closed_tree_holds_nothing_else() {
        assert!(tree_faults_of(Tree::Only(&["codec"]), &["core", "codec", "codec"]).is_empty());
        let faults = tree_faults_of(Tree::Only(&["codec"]), &["core", "codec", "libc", "libc"]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("libc"));
    }

    #[test]
    fn a_banned_family_is_found_by_its_first_name() {
        assert!(tree_faults_of(Tree::Without(&["tokio"]), &["core", "tokiolike"]).is_empty());
        assert_eq!(tree_faults_of(Tree::Without(&["tokio"]), &["core", "tokio", "tokio-util"]).len(), 2);
    }

    #[test]
    fn an_empty_tree_proves_nothing() {
        assert_eq!(tree_faults_of(Tree::Without(&["tokio"]), &[]).len(), 1);
    }
}
