//! Twenty thousand seeds, in two tests so that two cores share them. More by `cargo xtask sim`.

use std::ops::Range;

use thalweg_testkit::sim;

fn seeds(range: Range<u64>) {
    for seed in range {
        let script = sim::script(seed);
        if let Err(failure) = sim::run(&script) {
            let short = sim::shrink(&script, |script| sim::run(script).is_err());
            let complaint =
                sim::run(&short).map_or_else(|failure| failure.to_string(), |_| failure.to_string());
            panic!("seed {seed} fails, and so does this:\n\n{short}\n\n{complaint}");
        }
    }
}

#[test]
fn the_first_ten_thousand_seeds_hold() {
    seeds(0..10_000);
}

#[test]
fn the_second_ten_thousand_seeds_hold() {
    seeds(10_000..20_000);
}
