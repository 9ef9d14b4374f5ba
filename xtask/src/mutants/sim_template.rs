//! The first so many seeds of the simulator, up to the first that fails.

use thalweg_testkit::sim;

fn main() {
    let seeds = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).expect("a number of seeds");
    for seed in 0..seeds {
        if let Err(failure) = sim::run(&sim::script(seed)) {
            println!("seed {seed} fails: {}", failure.complaint);
            std::process::exit(1);
        }
    }
}
