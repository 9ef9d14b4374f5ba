//! Runs a scene on a peer: its time, or under valgrind its instructions.

fn main() -> std::process::ExitCode {
    thalweg_bench::program::main()
}
