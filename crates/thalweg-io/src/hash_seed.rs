//! The seed of the header encoder's hash table: random for each process.
//!
//! Invariants: a seed that the caller has chosen is used as it is.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use thalweg::Config;

/// Returns `config` with the hash seed of this process, a random number, unless it has one.
///
/// The seed keeps a peer from choosing header fields whose hashes collide. [`Setup`](crate::Setup)
/// calls this function.
pub fn seeded(config: Config) -> Config {
    if config.hash_seed == 0 { config.hash_seed(*SEED) } else { config }
}

/// Not 0, which stands for no seed.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("thalweg").max(1));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_a_seed_gets_that_of_the_process() {
        let config = seeded(Config::default());
        assert_ne!(config.hash_seed, 0);
        assert_eq!(config, Config::default().hash_seed(config.hash_seed), "and nothing else changes");
        assert_eq!(seeded(Config::default()), config);
        let chosen = Config::default().hash_seed(7);
        assert_eq!(seeded(chosen), chosen);
    }
}
