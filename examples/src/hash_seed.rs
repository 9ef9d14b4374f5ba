//! A random seed for the header encoder's hash table, for the loops that use the core directly.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

/// Returns the seed of this process (see [`thalweg::Config::hash_seed`]).
pub fn hash_seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("thalweg"));
    *SEED
}
